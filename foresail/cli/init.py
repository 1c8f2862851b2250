"""`foresail init`: a commented foresail.yaml and catalogue.yaml to start from."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write them; made when missing.")
    ] = Path(),
) -> None:
    """Writes starter files. A commented foresail.yaml and catalogue.yaml.

    Never over a file that exists.
    """
    from foresail.starter import write_starter

    for path in write_starter(folder):
        print(f"wrote {path}")
    prefix = "" if folder == Path() else f"cd {folder} && "
    print("\nNext:")
    print("  1. say in catalogue.yaml which model to serve, and with which command")
    print(f"  2. {prefix}foresail doctor")
    print(f"  3. {prefix}foresail up")

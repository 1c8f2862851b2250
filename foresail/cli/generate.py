"""`foresail generate`: writes the files that are made from the code, or checks that they are current."""

from pathlib import Path
from typing import Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING


def generate(
    root: Annotated[Path, typer.Option(metavar="FOLDER", help="The checkout.")] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when a file is not current.")
    ] = False,
) -> None:
    """Writes the files made from the code. For a checkout."""
    from foresail.generate import generated_files, stale_files, write_generated_files

    if not check:
        written = write_generated_files(root)
        print("\n".join(f"wrote {path}" for path in written) or "everything is current")
        return
    stale = stale_files(root)
    for path in stale:
        print(f"{path} is not what the code makes; run: foresail generate")
    if stale:
        raise typer.Exit(FOUND_SOMETHING)
    print(f"{len(generated_files())} generated files are current")

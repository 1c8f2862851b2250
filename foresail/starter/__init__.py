"""The files `foresail init` writes: a commented foresail.yaml and catalogue.yaml to start from.

In: a folder. Out: the two files in it, or nothing at all when one of them is there already. The
templates lie beside this file and are valid as they are; a test reads them.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from collector.errors import ConfigurationError

STARTER_FILES: Final = ("foresail.yaml", "catalogue.yaml")


def write_starter(folder: Path) -> tuple[Path, ...]:
    """Paths of the files written. Raises ConfigurationError when one exists or the folder cannot be made; then
    none is written.
    """
    paths = tuple(folder / name for name in STARTER_FILES)
    for path in paths:
        if path.exists() or path.is_symlink():
            raise ConfigurationError(f"{path} exists and is not overwritten; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be made a folder: {error.strerror}; name another one"
        ) from error
    templates = files(__name__)
    for path in paths:
        with path.open("xb") as file:
            file.write((templates / path.name).read_bytes())
    return paths

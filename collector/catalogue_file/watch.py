"""The newest valid catalogue of a file that its owner edits while we run.

In: a path. Out: `poll()`, called once per tick, gives the catalogue in force: the new one when the
file changed and is valid as a whole, else the old one, with `problem` saying what is wrong. Reading is
one call on one inode and changes are seen by identity, size and time, so neither an editor that
replaces the file nor one that is halfway through writing it can bring in half a catalogue (which may
well be valid, with fewer services): a change is taken once it was the same at two polls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collector.catalogue_file.read import read_catalogue
from collector.errors import CatalogueError
from collector.model.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What tells one content of a file from another without reading it."""

    device: int
    inode: int
    size_bytes: int
    modified_nanoseconds: int
    changed_nanoseconds: int  # also moves when the time of modification is set back


class CatalogueWatch:
    """Holds the catalogue in force. Not thread-safe; one per process."""

    def __init__(
        self, path: Path, *, check: Callable[[Catalogue], None] = lambda catalogue: None
    ) -> None:
        """Reads the file once. Raises CatalogueError: there is no old one to fall back to.

        `check` raises CatalogueError for a valid catalogue that cannot be in force in this setup.
        """
        self._path = path
        self._check = check
        self._taken = self._met = _version(path)
        self._current = self._read()
        self._problem: str | None = None

    @property
    def current(self) -> Catalogue:
        """The catalogue in force, without looking at the file."""
        return self._current

    @property
    def problem(self) -> str | None:
        """Why the file on disk is not what is in force, on one line; None when it is."""
        return self._problem

    def poll(self) -> Catalogue:
        """The newest valid catalogue. Reads the file only when it changed and then stood still."""
        version = _version(self._path)
        is_settled = version == self._met
        self._met = version
        if is_settled and version != self._taken:
            # The version of before the reading: a write during it is a change at the next poll.
            self._taken = version
            self._take()
        return self._current

    def _take(self) -> None:
        try:
            self._current = self._read()
            self._problem = None
        except CatalogueError as error:
            self._problem = "; ".join(str(error).splitlines())

    def _read(self) -> Catalogue:
        catalogue = read_catalogue(self._path)
        self._check(catalogue)
        return catalogue


def _version(path: Path) -> _Version | None:
    """The file's version; None while there is no file, or none that may be looked at."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return _Version(
        device=status.st_dev,
        inode=status.st_ino,
        size_bytes=status.st_size,
        modified_nanoseconds=status.st_mtime_ns,
        changed_nanoseconds=status.st_ctime_ns,
    )

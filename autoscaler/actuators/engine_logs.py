"""The log files of engine processes: one per replica, no pipes, bounded.

In: the state directory. Out: open files for new engines, last lines for messages. An engine writes
straight into its file, so it lives on when the controller dies, and nothing can cut its writing
short; the bound is therefore kept from outside: files of engines long gone are removed when a new
one starts, and a file above its limit is emptied after its end was saved beside it.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from collector.model.ids import ReplicaId

MAX_FILES: Final = 100
"""Logs kept of engines that are gone; the oldest go first."""
MAX_BYTES: Final = 32 * 2**20
"""Size at which a living engine's log is emptied."""
_KEPT_BYTES: Final = 64 * 2**10
_TAIL_BYTES: Final = 4 * 2**10
_MAX_LINE: Final = 300


class EngineLogs:
    """The folder `<state_dir>/logs`."""

    def __init__(self, state_dir: Path) -> None:
        """Names the folder; it is made when the first engine starts."""
        self._folder = state_dir / "logs"

    def path(self, replica_id: ReplicaId) -> Path:
        """Where one replica's output goes."""
        return self._folder / f"{replica_id}.log"

    def prepare(self, replica_id: ReplicaId, *, living: Collection[ReplicaId]) -> Path:
        """The path for a new engine in a folder with room for it. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._remove_oldest(keep={*living, replica_id})
        return self.path(replica_id)

    def shorten(self, *, max_bytes: int = MAX_BYTES) -> None:
        """Empties every log above `max_bytes`; its end stays in `<replica>.log.1`.

        What the engine writes in the microseconds between the copy and the cut is lost.
        """
        for path in self._folder.glob("*.log"):
            if path.stat().st_size > max_bytes:
                path.with_suffix(".log.1").write_bytes(_end_of(path, size_bytes=_KEPT_BYTES))
                os.truncate(path, 0)  # engines append, so their next line starts the file again

    def last_line(self, replica_id: ReplicaId) -> str:
        """The last line that says something, at most 300 characters; "" when there is none."""
        try:
            tail = _end_of(self.path(replica_id), size_bytes=_TAIL_BYTES)
        except OSError:
            return ""
        lines = [line.strip() for line in tail.decode(errors="replace").splitlines()]
        said = next((line for line in reversed(lines) if line), "")
        return "".join(letter if letter.isprintable() else " " for letter in said)[:_MAX_LINE]

    def _remove_oldest(self, *, keep: Collection[ReplicaId]) -> None:
        files = [path for path in self._folder.glob("*.log*") if _replica(path) not in keep]
        files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[MAX_FILES:]:
            path.unlink(missing_ok=True)


def _replica(path: Path) -> str:
    return path.name.partition(".log")[0]


def _end_of(path: Path, *, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size_bytes))
        return file.read(size_bytes)

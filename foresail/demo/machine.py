"""How busy the machine is, from /proc/stat. Linux only, like the rest of the desk."""

import os
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_IDLE_FIELDS: Final = (3, 4)  # idle, iowait
_FIELD_COUNT: Final = 8  # those after it, guest time, are part of the first two


def core_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


class BusyMeter:
    """Busy share of all cores since it was made."""

    def __init__(self, *, stat_path: Path = _STAT) -> None:
        self._path = stat_path
        self._start = _ticks(stat_path)

    def busy_ratio(self) -> float | None:
        """0..1; None when it cannot be read or no time has passed."""
        end = _ticks(self._path)
        if self._start is None or end is None:
            return None
        busy, total = end[0] - self._start[0], end[1] - self._start[1]
        return busy / total if total > 0 else None


def _ticks(path: Path) -> tuple[int, int] | None:
    """(busy, all) clock ticks of all cores since boot."""
    try:
        words = path.read_text().split("\n", 1)[0].split()[1 : 1 + _FIELD_COUNT]
        fields = [int(word) for word in words]
    except (OSError, ValueError):
        return None
    if len(fields) < _FIELD_COUNT:
        return None
    idle = sum(fields[index] for index in _IDLE_FIELDS)
    return sum(fields) - idle, sum(fields)

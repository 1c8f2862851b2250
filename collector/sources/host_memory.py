"""What the machine's memory looks like: totals from /proc/meminfo, pressure from /proc/pressure.

In: a /proc folder. Out: `HostMemory`, for the node agent and for accelerators whose memory is the
host's. A kernel without pressure information gives no pressure, not none of it.
"""

from pathlib import Path
from typing import Final

from collector.clock import Clock
from collector.model.device import HostMemory
from collector.model.reading import Fresh, Missing, MissingReason, Number
from collector.procfs import PROC

_SOURCE: Final = "proc"
_KIB: Final = 1024
_MICROSECONDS: Final = 1e6


class HostMemoryProbe:
    """Reads anew at every call; a file that is not there or not as documented is a Missing."""

    def __init__(self, *, clock: Clock, proc: Path = PROC) -> None:
        self._clock = clock
        self._proc = proc

    def host_memory(self) -> HostMemory:
        """Memory and pressure now."""
        fields = self._meminfo()
        return HostMemory(
            total_bytes=self._kib(fields, "MemTotal"),
            available_bytes=self._kib(fields, "MemAvailable"),
            swap_free_bytes=self._kib(fields, "SwapFree"),
            pressure_waiting_seconds_total=self._pressure("some"),
            pressure_stalled_seconds_total=self._pressure("full"),
        )

    def _meminfo(self) -> dict[str, str] | None:
        """{name: rest of its line}; None when the file cannot be read."""
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
        except OSError:
            return None
        pairs = (line.partition(":") for line in lines)
        return {name: rest.strip() for name, _, rest in pairs}

    def _kib(self, fields: dict[str, str] | None, name: str) -> Number:
        if fields is None:
            return _missing(MissingReason.SOURCE_UNREACHABLE)
        if name not in fields:
            return _missing(MissingReason.SERIES_ABSENT)
        return self._number(fields[name].removesuffix("kB").strip(), factor=_KIB)

    def _pressure(self, kind: str) -> Number:
        """The running total of one line: `some avg10=0.00 … total=<microseconds>`."""
        try:
            lines = (self._proc / "pressure" / "memory").read_text().splitlines()
        except FileNotFoundError:
            return _missing(MissingReason.CANNOT_SEE)
        except OSError:  # the file may be there and refuse: pressure was switched off at boot
            return _missing(MissingReason.SOURCE_UNREACHABLE)
        line = next((each for each in lines if each.startswith(f"{kind} ")), None)
        if line is None:
            return _missing(MissingReason.SERIES_ABSENT)
        return self._number(line.rpartition("total=")[2], factor=1 / _MICROSECONDS)

    def _number(self, text: str, *, factor: float) -> Number:
        if not text.isdecimal():
            return _missing(MissingReason.NOT_A_NUMBER)
        return Fresh(
            value=int(text) * factor,
            observed_timestamp_seconds=self._clock.timestamp_seconds(),
            source=_SOURCE,
        )


def _missing(reason: MissingReason) -> Missing:
    return Missing(reason=reason, source=_SOURCE)

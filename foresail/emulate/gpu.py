"""A page like the DCGM exporter's for the accelerators that emulated engines pretend to run on.

In: the engines' busy time, memory and sleep state. Out: the page; utilisation is the share of the time
since the last page. Power is an idle share of the board's limit plus what busy time adds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from autoscaler.engine_model.costs import seconds
from foresail.emulate.engine import EmulatedEngine
from foresail.emulate.metric_page import Labels, sample

_IDLE_POWER_RATIO = 0.12
_BUSY_POWER_RATIO = 0.75  # of the limit, on top of idle, while a step runs
_RESERVED_RATIO = 0.9  # what the engine claims of the memory; asleep it claims the rest below
_ASLEEP_BYTES = 1.5e9  # context and buffers that stay
_MEBIBYTE = 1024.0 * 1024.0
_KINDS = {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "counter"}


@dataclass(slots=True, kw_only=True)
class _Look:
    """What was true at the last page."""

    now: int = 0
    busy: int = 0
    busy_ratio: float = 0.0


@dataclass(slots=True, kw_only=True)
class GpuPage:
    """The exporter's state."""

    engines: Sequence[EmulatedEngine]
    hostname: str
    looks: dict[int, _Look] = field(default_factory=dict)

    def text(self) -> str:
        """The page now."""
        by_name: dict[str, list[str]] = {}
        for labels, values in self._devices():
            for name, value in values.items():
                by_name.setdefault(name, []).append(sample(name, labels, value))
        lines = []
        for name, samples in by_name.items():
            lines += [f"# TYPE {name} {_KINDS.get(name, 'gauge')}", *samples]
        return "\n".join(lines) + "\n"

    def _devices(self) -> Iterator[tuple[Labels, dict[str, float]]]:
        number = 0
        for index, engine in enumerate(self.engines):
            values = self._values(engine, look=self.looks.setdefault(index, _Look()))
            for _ in range(engine.settings.row.gpu_count):
                yield self._labels(number, engine), values
                number += 1

    def _labels(self, number: int, engine: EmulatedEngine) -> Labels:
        return (
            ("gpu", str(number)),
            ("UUID", f"GPU-emulated-{number:04d}"),
            ("pci_bus_id", f"00000000:{number + 1:02X}:00.0"),
            ("device", f"nvidia{number}"),
            ("modelName", engine.settings.row.gpu),
            ("Hostname", self.hostname),
        )

    def _values(self, engine: EmulatedEngine, *, look: _Look) -> dict[str, float]:
        engine.load()
        now, busy = engine.now(), engine.busy_picoseconds
        if now > look.now:
            # A step is counted when it ends, so a short look can see more than passed.
            look.busy_ratio = min(1.0, (busy - look.busy) / (now - look.now))
            look.now, look.busy = now, busy
        row = engine.settings.row
        limit, each = row.gpu_power_watts, row.gpu_memory_bytes / row.gpu_count
        idle_watts, busy_watts = _IDLE_POWER_RATIO * limit, _BUSY_POWER_RATIO * limit
        used = _ASLEEP_BYTES if engine.sleep_level else _RESERVED_RATIO * each
        energy_joules = idle_watts * seconds(now) + busy_watts * seconds(busy)
        return {
            "DCGM_FI_DEV_GPU_UTIL": round(100 * look.busy_ratio),
            "DCGM_FI_DEV_MEM_COPY_UTIL": round(60 * look.busy_ratio),
            "DCGM_FI_DEV_FB_USED": round(used / _MEBIBYTE),
            "DCGM_FI_DEV_FB_FREE": round((each - used) / _MEBIBYTE),
            "DCGM_FI_DEV_POWER_USAGE": idle_watts + busy_watts * look.busy_ratio,
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 1000 * energy_joules,
            "DCGM_FI_DEV_GPU_TEMP": round(32 + 36 * look.busy_ratio),
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE": look.busy_ratio,
        }

"""Which series the node agent tells and where in a `Device` each comes from: names, units, kinds.

Data for `collector.device_series`, one row per series; the units are those of the name's owner.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from collector.model.contract import SeriesKind
from collector.model.device import ClockReason, Device, DeviceMemory, HostMemory
from collector.model.reading import (
    Fresh,
    Missing,
    MissingReason,
    Number,
    Reading,
    Stale,
    fresh_value,
)

T = TypeVar("T")


class NumberField(NamedTuple):
    """One series with a sample per device."""

    name: str
    kind: SeriesKind
    text: str
    number: Callable[[Device], Number]
    factor: float  # from the base unit to the unit of the name


_GAUGE: Final = SeriesKind.GAUGE
_COUNTER: Final = SeriesKind.COUNTER

# Names, units and kinds as dcgm-exporter 4.5 documents its fields; some are off in its default list.
DEVICE_NUMBERS: Final = (
    NumberField("DCGM_FI_DEV_SM_CLOCK", _GAUGE, "SM clock, MHz.", lambda d: d.sm_clock_hertz, 1e-6),
    NumberField(
        "DCGM_FI_DEV_MEM_CLOCK", _GAUGE, "Memory clock, MHz.", lambda d: d.memory_clock_hertz, 1e-6
    ),
    NumberField(
        "DCGM_FI_DEV_GPU_TEMP", _GAUGE, "Temperature, C.", lambda d: d.temperature_celsius, 1
    ),
    NumberField(
        "DCGM_FI_DEV_MEMORY_TEMP",
        _GAUGE,
        "Memory temperature, C.",
        lambda d: d.memory_temperature_celsius,
        1,
    ),
    NumberField("DCGM_FI_DEV_POWER_USAGE", _GAUGE, "Power draw, W.", lambda d: d.power_watts, 1),
    NumberField(
        "DCGM_FI_DEV_ENFORCED_POWER_LIMIT",
        _GAUGE,
        "Power limit in force, W.",
        lambda d: d.power_limit_watts,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        _COUNTER,
        "Energy since the driver was loaded, mJ.",
        lambda d: d.energy_joules_total,
        1e3,
    ),
    NumberField(
        "DCGM_FI_DEV_GPU_UTIL",
        _GAUGE,
        "Share of time in which any kernel ran, percent.",
        lambda d: d.busy_ratio,
        100,
    ),
    NumberField(
        "DCGM_FI_DEV_MEM_COPY_UTIL",
        _GAUGE,
        "Share of time in which memory was read or written, percent.",
        lambda d: d.memory_busy_ratio,
        100,
    ),
    NumberField(
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        _COUNTER,
        "Corrected ECC errors since the driver was loaded.",
        lambda d: d.errors.ecc_corrected_since_boot,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        _COUNTER,
        "Uncorrected ECC errors since the driver was loaded.",
        lambda d: d.errors.ecc_uncorrected_since_boot,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL",
        _COUNTER,
        "Corrected ECC errors of the GPU's life.",
        lambda d: d.errors.ecc_corrected_lifetime,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL",
        _COUNTER,
        "Uncorrected ECC errors of the GPU's life.",
        lambda d: d.errors.ecc_uncorrected_lifetime,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        _COUNTER,
        "Rows remapped for corrected errors.",
        lambda d: d.errors.remapped_rows_correctable,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        _COUNTER,
        "Rows remapped for uncorrected errors.",
        lambda d: d.errors.remapped_rows_uncorrectable,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        _GAUGE,
        "1 when remapping rows has failed.",
        lambda d: _mapped(d.errors.remap_has_failed, float),
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_ROW_REMAP_PENDING",
        _GAUGE,
        "1 when a reset is due to remap rows.",
        lambda d: _mapped(d.errors.remap_is_pending, float),
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
        _COUNTER,
        "NVLink flow-control CRC errors.",
        lambda d: d.nvlink.crc_flit_errors_total,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
        _COUNTER,
        "NVLink data CRC errors.",
        lambda d: d.nvlink.crc_data_errors_total,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
        _COUNTER,
        "NVLink retries.",
        lambda d: d.nvlink.replay_errors_total,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
        _COUNTER,
        "NVLink recoveries.",
        lambda d: d.nvlink.recovery_errors_total,
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS",
        _GAUGE,
        "Why the clocks are not higher, as bits.",
        lambda d: _mapped(d.clock_reasons, _clock_bits),
        1,
    ),
    NumberField(
        "DCGM_FI_DEV_MIG_MODE",
        _GAUGE,
        "1 when MIG is on.",
        lambda d: _mapped(d.mig_mode, lambda mode: float(mode.is_on)),
        1,
    ),
    NumberField(
        "foresail_device_nvlink_active_links",
        _GAUGE,
        "NVLinks that are up.",
        lambda d: d.nvlink.active_links,
        1,
    ),
    NumberField(
        "foresail_device_process_memory_bytes",
        _GAUGE,
        "Memory of all processes that compute on the device; absent unless every one is known.",
        lambda d: _process_memory(d),  # noqa: PLW0108  defined below
        1,
    ),
    NumberField(
        "foresail_device_processes",
        _GAUGE,
        "Processes that compute on the device.",
        lambda d: _mapped(d.processes, lambda processes: float(len(processes))),
        1,
    ),
)

MEMORY_NUMBERS: Final[tuple[tuple[str, str, Callable[[DeviceMemory], Number]], ...]] = (
    ("DCGM_FI_DEV_FB_TOTAL", "Memory of the GPU or slice, MiB.", lambda m: m.total_bytes),
    ("DCGM_FI_DEV_FB_FREE", "Free memory, MiB.", lambda m: m.free_bytes),
    ("DCGM_FI_DEV_FB_USED", "Used memory, MiB.", lambda m: m.used_bytes),
    ("DCGM_FI_DEV_FB_RESERVED", "Memory kept by the driver, MiB.", lambda m: m.reserved_bytes),
)

# Same files, same fields, same units as node_exporter's meminfo and pressure collectors.
HOST_NUMBERS: Final[tuple[tuple[str, SeriesKind, str, Callable[[HostMemory], Number]], ...]] = (
    ("node_memory_MemTotal_bytes", _GAUGE, "MemTotal.", lambda h: h.total_bytes),
    ("node_memory_MemAvailable_bytes", _GAUGE, "MemAvailable.", lambda h: h.available_bytes),
    ("node_memory_SwapFree_bytes", _GAUGE, "SwapFree.", lambda h: h.swap_free_bytes),
    (
        "node_pressure_memory_waiting_seconds_total",
        _COUNTER,
        "Time in which some task waited for memory.",
        lambda h: h.pressure_waiting_seconds_total,
    ),
    (
        "node_pressure_memory_stalled_seconds_total",
        _COUNTER,
        "Time in which all tasks waited for memory.",
        lambda h: h.pressure_stalled_seconds_total,
    ),
)

_CLOCK_BITS: Final = {
    ClockReason.IDLE: 0x1,
    ClockReason.APPLICATION_SETTING: 0x2,
    ClockReason.SOFTWARE_POWER_CAP: 0x4,
    ClockReason.HARDWARE_SLOWDOWN: 0x8,
    ClockReason.SYNC_BOOST: 0x10,
    ClockReason.SOFTWARE_THERMAL: 0x20,
    ClockReason.HARDWARE_THERMAL: 0x40,
    ClockReason.HARDWARE_POWER_BRAKE: 0x80,
    ClockReason.DISPLAY_SETTING: 0x100,
}
"""DCGM_CLOCKS_THROTTLE_REASON_*, the same bits as NVML's."""


def _process_memory(device: Device) -> Number:
    """The sum over all processes; Missing when one of them is not known."""
    processes = fresh_value(device.processes)
    if processes is None or any(each.used_bytes is None for each in processes):
        return Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    return _mapped(device.processes, lambda all_: float(sum(each.used_bytes or 0 for each in all_)))


def _clock_bits(reasons: frozenset[ClockReason]) -> float:
    return float(sum(_CLOCK_BITS[each] for each in reasons))


def _mapped(reading: Reading[T], change: Callable[[T], float]) -> Number:
    """The same reading in another form."""
    if not isinstance(reading, Fresh):  # an old look is never exported
        return Missing(reason=_reason(reading), source=reading.source)
    return Fresh(
        value=change(reading.value),
        observed_timestamp_seconds=reading.observed_timestamp_seconds,
        source=reading.source,
    )


def _reason(reading: Stale[T] | Missing) -> MissingReason:
    return reading.reason if isinstance(reading, Missing) else MissingReason.SOURCE_UNREACHABLE

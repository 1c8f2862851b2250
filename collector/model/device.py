"""Accelerators as the device library tells them, and the memory they share with the host.

Made by a `DeviceProbe`; read by the node agent's page and, later, by pools and reshape. Every number
is a reading: an accelerator that does not know a thing has no zero for it. Units are base units;
DCGM's own units (MiB, MHz, mJ) are made at the edge.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.model.reading import Missing, Number, Reading, fresh_value
from collector.model.snapshot import Problem


class DeviceMemoryKind(StrEnum):
    """Whose memory the accelerator computes in."""

    DISCRETE = "discrete"  # its own
    UNIFIED = "unified"  # the host's: the library has no figures for it, /proc/meminfo has


class ClockReason(StrEnum):
    """Why the clocks are not higher. Source: NVML, nvmlClocksEventReasons."""

    IDLE = "idle"
    APPLICATION_SETTING = "application_setting"
    SOFTWARE_POWER_CAP = "software_power_cap"
    HARDWARE_SLOWDOWN = "hardware_slowdown"
    SYNC_BOOST = "sync_boost"
    SOFTWARE_THERMAL = "software_thermal"
    HARDWARE_THERMAL = "hardware_thermal"
    HARDWARE_POWER_BRAKE = "hardware_power_brake"
    DISPLAY_SETTING = "display_setting"


class RecoveryAction(StrEnum):
    """What the driver says must be done before the accelerator is well again."""

    NONE = "none"
    GPU_RESET = "gpu_reset"
    NODE_REBOOT = "node_reboot"
    DRAIN_P2P = "drain_p2p"
    DRAIN_AND_RESET = "drain_and_reset"
    RECOVER_IMEX_DOMAIN = "recover_imex_domain"
    BUS_RESET = "bus_reset"
    SYSTEM_REBOOT = "system_reboot"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Which accelerator it is. None: it did not tell, now or before."""

    index: int  # as the library counts; may change at a restart of the driver
    uuid: str | None
    model_name: str | None
    pci_bus_id: str | None
    minor_number: int | None  # of /dev/nvidia<minor>


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """Memory of one accelerator or of one of its slices."""

    total_bytes: Number
    used_bytes: Number  # by whoever; without `reserved_bytes` where those are told apart
    free_bytes: Number
    reserved_bytes: Number  # kept by driver and firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProcess:
    """One process that computes on the accelerator."""

    pid: int
    used_bytes: int | None  # None: the library does not know
    gpu_instance_id: int | None  # of the slice it runs in


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceErrors:
    """What went wrong on the hardware, as running totals."""

    ecc_corrected_since_boot: Number  # since the driver was loaded
    ecc_uncorrected_since_boot: Number
    ecc_corrected_lifetime: Number
    ecc_uncorrected_lifetime: Number
    remapped_rows_correctable: Number
    remapped_rows_uncorrectable: Number
    remap_is_pending: Reading[bool]  # a reset carries it out
    remap_has_failed: Reading[bool]  # the accelerator is to be replaced
    xid_counts: Reading[Mapping[int, int]]  # {XID: how often}, since the probe watches
    last_xid: int | None  # the newest of those; None: none since the probe watches
    recovery_action: Reading[RecoveryAction]


@dataclass(frozen=True, slots=True, kw_only=True)
class NvLink:
    """The links to other accelerators, all lanes together."""

    active_links: Number
    crc_flit_errors_total: Number
    crc_data_errors_total: Number
    replay_errors_total: Number
    recovery_errors_total: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class MigInstance:
    """One slice as a device of its own."""

    uuid: str | None  # None: it did not tell
    gpu_instance_id: int | None
    compute_instance_id: int | None
    profile: str | None  # e.g. 1g.18gb
    memory: DeviceMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class MigMode:
    """Whether the accelerator is cut into slices; the two differ while a reset is due."""

    is_on: bool
    is_on_after_reset: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator now."""

    identity: DeviceIdentity
    memory_kind: DeviceMemoryKind | None  # None: it could not be asked
    memory: DeviceMemory
    processes: Reading[tuple[DeviceProcess, ...]]
    busy_ratio: Number  # share of time in which any kernel ran; says nothing of how full it was
    memory_busy_ratio: Number  # share of time in which memory was read or written
    power_watts: Number
    power_limit_watts: Number
    energy_joules_total: Number  # since the driver was loaded
    temperature_celsius: Number
    memory_temperature_celsius: Number
    sm_clock_hertz: Number
    memory_clock_hertz: Number
    clock_reasons: Reading[frozenset[ClockReason]]
    errors: DeviceErrors
    nvlink: NvLink
    mig_mode: Reading[MigMode]
    mig_instances: Reading[tuple[MigInstance, ...]]  # empty while MIG is off


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSurvey:
    """One look at all accelerators of this machine."""

    devices: Reading[tuple[Device, ...]]  # Missing: nobody could be asked; empty: there are none
    driver_version: Reading[str]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlace:
    """Memory somebody can compute in: a whole accelerator, or one slice of it."""

    memory: DeviceMemory
    memory_kind: DeviceMemoryKind | None  # None: it could not be asked
    processes: Reading[tuple[DeviceProcess, ...]]  # of this place alone


def find_place(devices: Iterable[Device], *, named: str) -> DevicePlace | None:
    """The accelerator of this UUID or index, or the slice of this UUID; None: there is no such."""
    for device in devices:
        identity = device.identity
        if named == str(identity.index) or _is_same(identity.uuid, named):
            return DevicePlace(
                memory=device.memory, memory_kind=device.memory_kind, processes=device.processes
            )
        for each in fresh_value(device.mig_instances) or ():
            if _is_same(each.uuid, named):
                return _slice_place(each, device=device)
    return None


def _slice_place(instance: MigInstance, *, device: Device) -> DevicePlace:
    processes = device.processes
    if not isinstance(processes, Missing):
        inside = (p for p in processes.value if p.gpu_instance_id == instance.gpu_instance_id)
        processes = replace(processes, value=tuple(inside))
    return DevicePlace(memory=instance.memory, memory_kind=device.memory_kind, processes=processes)


def _is_same(uuid: str | None, named: str) -> bool:
    return uuid is not None and uuid.lower() == named.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """Memory of the machine, which is the accelerator's too where it is unified."""

    total_bytes: Number
    available_bytes: Number  # without swapping; the page cache of model files counts as available
    swap_free_bytes: Number
    pressure_waiting_seconds_total: Number  # some task waited for memory (PSI `some`)
    pressure_stalled_seconds_total: Number  # every task did (PSI `full`)

"""A hand-written `DeviceProbe`: one healthy H200 until a test says otherwise."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from collector.model.device import (
    ClockReason,
    Device,
    DeviceErrors,
    DeviceIdentity,
    DeviceMemory,
    DeviceMemoryKind,
    DeviceProcess,
    DeviceSurvey,
    HostMemory,
    MigInstance,
    MigMode,
    NvLink,
    RecoveryAction,
)
from collector.model.reading import Fresh, Missing, MissingReason, Number
from collector.model.snapshot import Problem

T = TypeVar("T")
GIB = 1 << 30
UUID = "GPU-11111111-2222-3333-4444-555555555555"


def known(value: T) -> Fresh[T]:
    return Fresh(value=value, observed_timestamp_seconds=1_000.0, source="nvml")


def unknown(reason: MissingReason = MissingReason.CANNOT_SEE) -> Missing:
    return Missing(reason=reason, source="nvml")


def memory(*, total: float, used: float, reserved: float = 0.0) -> DeviceMemory:
    return DeviceMemory(
        total_bytes=known(total),
        used_bytes=known(used),
        free_bytes=known(total - used - reserved),
        reserved_bytes=known(reserved),
    )


def no_memory(reason: MissingReason = MissingReason.CANNOT_SEE) -> DeviceMemory:
    gone = unknown(reason)
    return DeviceMemory(total_bytes=gone, used_bytes=gone, free_bytes=gone, reserved_bytes=gone)


def mig_slice(*, gpu_instance_id: int, profile: str, total: float, used: float) -> MigInstance:
    return MigInstance(
        uuid=f"MIG-{gpu_instance_id}",
        gpu_instance_id=gpu_instance_id,
        compute_instance_id=0,
        profile=profile,
        memory=memory(total=total, used=used),
    )


def device_errors(
    *, xids: Mapping[int, int] | None = None, last_xid: int | None = None
) -> DeviceErrors:
    return DeviceErrors(
        ecc_corrected_since_boot=known(3.0),
        ecc_uncorrected_since_boot=known(0.0),
        ecc_corrected_lifetime=known(17.0),
        ecc_uncorrected_lifetime=known(1.0),
        remapped_rows_correctable=known(2.0),
        remapped_rows_uncorrectable=known(1.0),
        remap_is_pending=known(False),
        remap_has_failed=known(False),
        xid_counts=known(Counter(xids or {})),
        last_xid=last_xid,
        recovery_action=known(RecoveryAction.NONE),
    )


def device(**changes: Any) -> Device:
    healthy = Device(
        identity=DeviceIdentity(
            index=0,
            uuid=UUID,
            model_name="NVIDIA H200",
            pci_bus_id="00000000:19:00.0",
            minor_number=0,
        ),
        memory_kind=DeviceMemoryKind.DISCRETE,
        memory=memory(total=143_771 * 1024**2, used=20 * GIB, reserved=600 * 1024**2),
        processes=known((DeviceProcess(pid=4_242, used_bytes=20 * GIB, gpu_instance_id=None),)),
        busy_ratio=known(0.37),
        memory_busy_ratio=known(0.12),
        power_watts=known(312.5),
        power_limit_watts=known(700.0),
        energy_joules_total=known(9_876_543.21),
        temperature_celsius=known(61.0),
        memory_temperature_celsius=known(58.0),
        sm_clock_hertz=known(1.755e9),
        memory_clock_hertz=known(2.619e9),
        clock_reasons=known(
            frozenset({ClockReason.SOFTWARE_POWER_CAP, ClockReason.SOFTWARE_THERMAL})
        ),
        errors=device_errors(),
        nvlink=NvLink(
            active_links=known(18.0),
            crc_flit_errors_total=known(5.0),
            crc_data_errors_total=known(0.0),
            replay_errors_total=known(1.0),
            recovery_errors_total=known(0.0),
        ),
        mig_mode=known(MigMode(is_on=False, is_on_after_reset=False)),
        mig_instances=known(()),
    )
    return replace(healthy, **changes)


def survey(*devices: Device, problems: tuple[Problem, ...] = ()) -> DeviceSurvey:
    return DeviceSurvey(
        devices=known(devices), driver_version=known("580.95.05"), problems=problems
    )


def blind_survey(reason: MissingReason) -> DeviceSurvey:
    problem = Problem(source="nvml", message="the driver cannot be asked")
    gone = unknown(reason)
    return DeviceSurvey(devices=gone, driver_version=gone, problems=(problem,))


def host_memory(*, available: Number | None = None) -> HostMemory:
    return HostMemory(
        total_bytes=known(128e9),
        available_bytes=available or known(100e9),
        swap_free_bytes=known(0.0),
        pressure_waiting_seconds_total=known(1.5),
        pressure_stalled_seconds_total=known(0.25),
    )


class FakeDeviceProbe:
    """Answers `survey`; a lost GPU keeps its identity and tells nothing else."""

    def __init__(self) -> None:
        self.survey = survey(device())
        self.read_count = 0
        self.close_count = 0

    async def read_devices(self) -> DeviceSurvey:
        self.read_count += 1
        return self.survey

    async def close(self) -> None:
        self.close_count += 1

    def lose_device(self) -> None:
        problem = Problem(source="nvml", message=f"GPU 0 ({UUID}): GPU is lost")
        self.survey = survey(silenced(device(memory_kind=None)), problems=(problem,))


def silenced(value: Any) -> Any:
    """The same with every reading missing."""
    gone = unknown(MissingReason.SOURCE_UNREACHABLE)
    changes: dict[str, Any] = {}
    for each in fields(value):
        part = getattr(value, each.name)
        if isinstance(part, Fresh | Missing):
            changes[each.name] = gone
        elif is_dataclass(part) and not isinstance(part, DeviceIdentity):
            changes[each.name] = silenced(part)
    return replace(value, **changes)

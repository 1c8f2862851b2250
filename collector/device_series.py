"""What one look at the accelerators becomes on a metrics page: DCGM's names where DCGM has one.

In: a `DeviceSurvey` and `HostMemory`. Out: families of samples in DCGM's units (MiB, MHz, mJ,
percent), so that dashboards and rules written for its exporter read a box without it. What is not
fresh has no sample. Whatever DCGM has no name for is `foresail_device_*`, in base units.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from collector.device_fields import DEVICE_NUMBERS, HOST_NUMBERS, MEMORY_NUMBERS
from collector.model.contract import SeriesKind
from collector.model.device import (
    Device,
    DeviceMemory,
    DeviceSurvey,
    HostMemory,
    MigInstance,
    MigMode,
    RecoveryAction,
)
from collector.model.reading import Number, fresh_value

LabelSet = Mapping[str, str]
_MIB: Final = 1 / (1 << 20)
_DECIMALS: Final = 6
"""Going to base units and back must not turn 57 percent into 56.99999999999999."""
_OWN_LABELS: Final = ("gpu", "UUID", "hostname")
_GAUGE: Final = SeriesKind.GAUGE
_COUNTER: Final = SeriesKind.COUNTER


class Point(NamedTuple):
    """One sample of a family."""

    labels: LabelSet
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric with its samples."""

    name: str
    kind: SeriesKind  # COUNTER or GAUGE
    text: str
    points: tuple[Point, ...]


def survey_families(survey: DeviceSurvey, *, hostname: str) -> Iterator[Family]:
    """Every family that has a sample, and always how the look itself went."""
    devices = fresh_value(survey.devices)
    labelled = _labelled(survey, hostname=hostname)
    if devices is not None:
        yield _family("foresail_node_devices", _GAUGE, "Devices.", [Point({}, float(len(devices)))])
    yield _family(
        "foresail_node_device_library_up",
        _GAUGE,
        "1 when the device library answered; 0 when there is none or it hangs.",
        [Point({}, float(devices is not None))],
    )
    yield _family(
        "foresail_node_problems",
        _GAUGE,
        "Things the device library could not tell, in the latest look.",
        [Point({}, float(len(survey.problems)))],
    )
    for row in DEVICE_NUMBERS:
        points = (
            _points(row.number(each), _labels_for(row.name, labels), row.factor)
            for each, labels in labelled
        )
        yield from _present(row.name, row.kind, row.text, _chained(points))
    yield from _memory_families(labelled)
    yield from _state_families(labelled)


def host_families(host: HostMemory) -> Iterator[Family]:
    """The machine's memory under node_exporter's names, which mean exactly this."""
    for name, kind, text, number in HOST_NUMBERS:
        yield from _present(name, kind, text, _points(number(host), {}, 1))


def _memory_families(labelled: "_Labelled") -> Iterator[Family]:
    """Per slice where there are slices, else per GPU: both would be counted twice in a sum."""
    for name, text, number in MEMORY_NUMBERS:
        points = (
            _points(number(memory), each_labels, _MIB)
            for device, labels in labelled
            for memory, each_labels in _memories(device, labels)
        )
        yield from _present(name, _GAUGE, text, _chained(points))


def _state_families(labelled: "_Labelled") -> Iterator[Family]:
    yield from _present(
        "DCGM_FI_DEV_XID_ERRORS",
        _GAUGE,
        "The last XID since the agent watches; 0 when there was none.",
        _chained(_last_xid(device, labels) for device, labels in labelled),
    )
    yield from _present(
        "foresail_device_xid_errors_total",
        _COUNTER,
        "XIDs since the agent watches.",
        _chained(_xid_counts(device, _own(labels)) for device, labels in labelled),
    )
    yield from _present(
        "foresail_device_recovery_action",
        _GAUGE,
        "1 for what the driver says must be done to make the device well.",
        _chained(_recovery(device, _own(labels)) for device, labels in labelled),
    )


def _labels_for(name: str, labels: LabelSet) -> LabelSet:
    """All labels for DCGM's names; for our own the ones that say which device."""
    return labels if name.startswith("DCGM_") else _own(labels)


def _own(labels: LabelSet) -> LabelSet:
    return {key: labels[key] for key in _OWN_LABELS if key in labels}


_Labelled = list[tuple[Device, dict[str, str]]]


def _labelled(survey: DeviceSurvey, *, hostname: str) -> _Labelled:
    """Devices with the labels of DCGM's exporter; one that is not known is left out."""
    driver = fresh_value(survey.driver_version)
    devices = fresh_value(survey.devices) or ()
    return [(each, _labels(each, hostname=hostname, driver=driver)) for each in devices]


def _labels(device: Device, *, hostname: str, driver: str | None) -> dict[str, str]:
    who = device.identity
    told = {
        "gpu": str(who.index),
        "UUID": who.uuid,
        "pci_bus_id": who.pci_bus_id,
        "device": None if who.minor_number is None else f"nvidia{who.minor_number}",
        "modelName": who.model_name,
        "hostname": hostname,
        "DCGM_FI_DRIVER_VERSION": driver,
    }
    return {name: value for name, value in told.items() if value is not None}


def _memories(device: Device, labels: LabelSet) -> Iterator[tuple[DeviceMemory, LabelSet]]:
    mode, slices = fresh_value(device.mig_mode), fresh_value(device.mig_instances)
    if isinstance(mode, MigMode) and mode.is_on and slices != ():
        # Slices that could not be read: their GPU's figure would stand in for something else.
        for each in slices or ():
            yield each.memory, {**labels, **_slice_labels(each)}
        return
    yield device.memory, labels


def _slice_labels(each: MigInstance) -> dict[str, str]:
    told = {
        "GPU_I_PROFILE": each.profile,
        "GPU_I_ID": None if each.gpu_instance_id is None else str(each.gpu_instance_id),
    }
    return {name: value for name, value in told.items() if value is not None}


def _last_xid(device: Device, labels: LabelSet) -> list[Point]:
    if fresh_value(device.errors.xid_counts) is None:
        return []
    return [Point(labels, float(device.errors.last_xid or 0))]


def _xid_counts(device: Device, labels: LabelSet) -> list[Point]:
    counts = fresh_value(device.errors.xid_counts) or {}
    return [
        Point({**labels, "xid": str(xid)}, float(count)) for xid, count in sorted(counts.items())
    ]


def _recovery(device: Device, labels: LabelSet) -> list[Point]:
    action = fresh_value(device.errors.recovery_action)
    if action is None:
        return []
    return [
        Point({**labels, "action": each.value}, float(each is action)) for each in RecoveryAction
    ]


def _points(number: Number, labels: LabelSet, factor: float) -> list[Point]:
    value = fresh_value(number)
    return [] if value is None else [Point(labels, round(value * factor, _DECIMALS))]


def _chained(groups: Iterable[list[Point]]) -> list[Point]:
    return [point for group in groups for point in group]


def _present(name: str, kind: SeriesKind, text: str, points: list[Point]) -> Iterator[Family]:
    if points:
        yield _family(name, kind, text, points)


def _family(name: str, kind: SeriesKind, text: str, points: list[Point]) -> Family:
    return Family(name=name, kind=kind, text=text, points=tuple(points))

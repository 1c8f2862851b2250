"""Whether the memory that pools declare is there: on this machine, and on its accelerators.

In: the pools that processes of this setup use. Out: findings. The accelerators are asked only where a
pool is theirs. A figure that nobody tells is told as such, never taken for enough.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.device import Device, DeviceMemoryKind, DevicePlace, find_place
from collector.model.reading import Missing, fresh_value
from foresail.doctor.finding import Finding, ok, problem, warning
from foresail.doctor.subject import Subject

_ASSUMED = "what others take of it is not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """Some memory, and what is planned with it."""

    subject: str  # the head of each message
    of: str  # what has the memory
    capacity_bytes: int  # declared
    budget_bytes: int  # that models may take
    total_bytes: float
    available_bytes: float


def check_memory(subject: Subject) -> Iterator[Finding]:
    """Every pool that processes use fits into the memory it stands for."""
    used = {variant.pool for _, variant, _ in subject.process_variants()}
    pools = [each for each in subject.catalogue.pools if each.name in used]
    on_host = [each for each in pools if each.kind is PoolKind.UNIFIED]
    if on_host:
        yield _host_finding(on_host, subject=subject)
    yield from _device_findings(
        [each for each in pools if each.kind is PoolKind.DISCRETE], subject=subject
    )


def _host_finding(pools: Sequence[MemoryPool], *, subject: Subject) -> Finding:
    host = subject.machine.memory()
    if host is None:
        return warning(
            "memory",
            "the memory of this machine cannot be told (/proc/meminfo)",
            next_step="make sure that the capacity of the pools is right",
        )
    return _fit(
        _Room(
            subject="",
            of="this machine",
            capacity_bytes=sum(pool.capacity_bytes for pool in pools),
            budget_bytes=sum(pool.budget_bytes for pool in pools),
            total_bytes=host.total_bytes,
            available_bytes=host.available_bytes,
        )
    )


def _device_findings(pools: Sequence[MemoryPool], *, subject: Subject) -> Iterator[Finding]:
    named = [each for each in pools if each.device is not None]
    for pool in pools:
        if pool.device is None:
            yield warning(
                "memory",
                f"pool {pool.name}: no device is named, so {_ASSUMED}",
                next_step="add `device` to the pool: a UUID or number of `nvidia-smi -L`",
            )
    if not named:
        return
    survey = subject.machine.devices()
    if isinstance(survey.devices, Missing):
        why = "; ".join(each.message for each in survey.problems) or survey.devices.reason.value
        yield problem(
            "memory",
            f"the accelerators cannot be asked: {why}",
            next_step="make `nvidia-smi -L` work for this user",
        )
        return
    for pool in named:
        yield _device_finding(pool, devices=survey.devices.value, subject=subject)


def _device_finding(pool: MemoryPool, *, devices: Sequence[Device], subject: Subject) -> Finding:
    place = find_place(devices, named=pool.device or "")
    if place is None:
        return problem(
            "memory",
            f"pool {pool.name}: there is no accelerator {pool.device} among the {len(devices)} of this "
            "machine",
            next_step="correct `device`, see `nvidia-smi -L`",
        )
    if _is_cut(devices, place=place):
        return problem(
            "memory",
            f"pool {pool.name}: {pool.device} is cut into slices (MIG), so no process gets all of it",
            next_step="name one slice per pool: a MIG-... UUID of `nvidia-smi -L`",
        )
    if place.memory_kind is DeviceMemoryKind.UNIFIED:
        return warning(
            "memory",
            f"pool {pool.name}: {pool.device} computes in the memory of the machine",
            next_step="say kind: unified, so that it is counted together with other pools of it",
        )
    return _place_finding(pool, place=place)


def _place_finding(pool: MemoryPool, *, place: DevicePlace) -> Finding:
    total, free = place.memory.total_bytes, place.memory.free_bytes
    if isinstance(total, Missing) or isinstance(free, Missing):
        (why, *_) = (each.reason.value for each in (total, free) if isinstance(each, Missing))
        return warning(
            "memory",
            f"pool {pool.name}: {pool.device} does not tell its memory ({why}), so {_ASSUMED}",
            next_step="make sure that the capacity of the pool is right",
        )
    return _fit(
        _Room(
            subject=f"pool {pool.name}: ",
            of=f"{pool.device}",
            capacity_bytes=pool.capacity_bytes,
            budget_bytes=pool.budget_bytes,
            total_bytes=total.value,
            available_bytes=free.value,
        )
    )


def _is_cut(devices: Sequence[Device], *, place: DevicePlace) -> bool:
    """Whether the place is a whole accelerator on which only slices compute."""
    for device in devices:
        mode = fresh_value(device.mig_mode)
        if device.memory is place.memory and mode is not None:
            return mode.is_on
    return False


def _fit(room: _Room) -> Finding:
    total, available = _text(room.total_bytes), _text(room.available_bytes)
    if room.capacity_bytes > room.total_bytes:
        declared = f"{room.subject}capacity is" if room.subject else "pools declare"
        return problem(
            "memory",
            f"{declared} {_text(room.capacity_bytes)}, {room.of} has {total}",
            next_step="lower capacity in the catalogue",
        )
    may_take = f"{room.subject}models may take {_text(room.budget_bytes)}"
    if room.budget_bytes > room.available_bytes:
        return warning(
            "memory",
            f"{may_take}, {available} of {total} are available now",
            next_step="raise reserve, or end other programs (engines that run count as such here)",
        )
    return ok("memory", f"{may_take}, {available} of {total} are available")


def _text(amount_bytes: float) -> str:
    return f"{amount_bytes / 2**30:.1f} GiB"

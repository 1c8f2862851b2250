"""What replicas hold on their accelerators, and what those could still give out.

In: the last look at the accelerators (through the `DeviceProbe` port), the declared pools, and the
probe of the host's memory. Out: readings in bytes. Adapter of the `MemoryProbe` port for all pools: an
accelerator whose memory is the host's, and every unified pool, is answered by the host's probe. The
device library may hang, so nobody waits for it here: `look` asks it, the rest reads what it gave.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from collector.clock import Clock
from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.device import (
    DeviceMemoryKind,
    DevicePlace,
    DeviceSurvey,
    find_place,
)
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import Fresh, Missing, MissingReason, Number, aged
from collector.model.snapshot import Problem
from collector.ports import DeviceProbe
from collector.sources.proc_memory import ProcessMemoryProbe

_SOURCE: Final = "device"
_MAX_AGE_SECONDS: Final = 15.0
"""A look older than three rounds of reading is stale: too old to start an engine on."""


class DeviceMemoryProbe:
    """Memory of replicas and pools, wherever it is."""

    def __init__(
        self,
        *,
        devices: DeviceProbe,
        host: ProcessMemoryProbe,
        list_pools: Callable[[], Iterable[MemoryPool]],
        pool_of: Callable[[ReplicaId], PoolName | None],
        clock: Clock,
    ) -> None:
        """`pool_of` tells where a replica was started; None: that is not known."""
        self._devices = devices
        self._host = host
        self._list_pools = list_pools
        self._pool_of = pool_of
        self._clock = clock
        self._survey: DeviceSurvey | None = None

    async def look(self) -> tuple[Problem, ...]:
        """Asks the accelerators, if a pool names one; what is wrong with them, a line each."""
        named = [pool for pool in self._list_pools() if pool.device is not None]
        if not named:
            self._survey = None
            return ()
        self._survey = survey = await self._devices.read_devices()
        found = survey.devices
        if isinstance(found, Missing):
            return survey.problems
        lost = [
            Problem(source=_SOURCE, message=_no_such(pool, count=len(found.value)))
            for pool in named
            if find_place(found.value, named=pool.device or "") is None
        ]
        return (*survey.problems, *lost)

    def replica_memory_bytes(self) -> Mapping[ReplicaId, Number]:
        """What each replica holds in its pool; at the last look, where that is an accelerator's."""
        pools = {pool.name: pool for pool in self._list_pools()}
        process_ids = self._host.replica_process_ids()
        found = dict(self._host.replica_memory_bytes())
        for replica_id in found:
            name = self._pool_of(replica_id)
            place = self._place(pools.get(name)) if name else None
            if place is not None:
                pids = frozenset(process_ids.get(replica_id, ()))
                found[replica_id] = self._aged(_held_bytes(place, process_ids=pids))
        return found

    def pool_available_bytes(self) -> Mapping[PoolName, Number]:
        """What each pool could still give out, whoever uses the rest."""
        on_host = self._host.available_bytes()
        found: dict[PoolName, Number] = {}
        for pool in self._list_pools():
            place = self._place(pool)
            free = place.memory.free_bytes if isinstance(place, DevicePlace) else place
            found[pool.name] = on_host if free is None else self._aged(free)
        return found

    def _place(self, pool: MemoryPool | None) -> DevicePlace | Missing | None:
        """Where the pool's memory is; None: on the host."""
        if pool is None or pool.kind is PoolKind.UNIFIED:
            return None
        if pool.device is None:
            return Missing(reason=MissingReason.CANNOT_SEE, source=_SOURCE)
        if self._survey is None:
            return Missing(reason=MissingReason.NOT_READ_YET, source=_SOURCE)
        devices = self._survey.devices
        if isinstance(devices, Missing):
            return devices
        place = find_place(devices.value, named=pool.device)
        if place is None:
            return Missing(reason=MissingReason.SERIES_ABSENT, source=_SOURCE)
        # The library has no figures for memory that is the host's; the host has.
        return None if place.memory_kind is DeviceMemoryKind.UNIFIED else place

    def _aged(self, reading: Number) -> Number:
        now = self._clock.timestamp_seconds()
        return aged(reading, now_timestamp_seconds=now, limit_seconds=_MAX_AGE_SECONDS)


def _held_bytes(place: DevicePlace | Missing, *, process_ids: frozenset[int]) -> Number:
    """The sum over the replica's processes on the accelerator.

    A replica of which none is listed holds something unknown, not nothing: it may not have come
    that far yet, or the library may count processes as another container sees them.
    """
    if isinstance(place, Missing):
        return place
    listed = place.processes
    if isinstance(listed, Missing):
        return listed
    ours = [each.used_bytes for each in listed.value if each.pid in process_ids]
    told = [used_bytes for used_bytes in ours if used_bytes is not None]
    if not ours:
        return Missing(reason=MissingReason.SERIES_ABSENT, source=_SOURCE)
    if len(told) < len(ours):
        return Missing(reason=MissingReason.CANNOT_SEE, source=_SOURCE)
    seen = listed.observed_timestamp_seconds
    return Fresh(value=float(sum(told)), observed_timestamp_seconds=seen, source=listed.source)


def _no_such(pool: MemoryPool, *, count: int) -> str:
    return (
        f"pool {pool.name}: there is no accelerator {pool.device} among the {count} of this machine; "
        "correct `device`, see `nvidia-smi -L`"
    )

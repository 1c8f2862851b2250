"""Several services of a replay on one inventory of accelerators: what runs, what waits for room.

In: wishes per service at points in time. Out: views per service, and the accelerators in use, which are
never more than there are. An order that does not fit waits, the oldest first, and does not keep a smaller
one behind it from starting. Each service has a fleet and a plant of its own; decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.replay.faults import Faults
from autoscaler.replay.fleet import Fleet, Provisioning
from autoscaler.replay.lookout import Lookout
from autoscaler.replay.service_plant import ServicePlant
from autoscaler.replay.view import FleetView, Setting
from autoscaler.replay.workload import Workload
from collector.model.catalogue import Tier
from collector.model.ids import ServiceName

_SEED_STRIDE = 1_000_003
"""Between the generators of neighbouring services; the first one has the seed itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedService:
    """One service of several."""

    name: ServiceName
    tier: Tier
    workload: Workload
    setting: Setting  # its replicas take `gpus_per_replica` of the inventory
    initial_replicas: int = 1
    hold_timeout_seconds: float = 600.0  # of a request, while no replica serves


@dataclass(slots=True, kw_only=True)
class _Waiting:
    """Replicas that were wished for and have no room yet, of one service: since when."""

    service: ServiceName
    since_seconds: float


class SharedFleet:
    """All of them."""

    def __init__(
        self,
        services: Sequence[SharedService],
        *,
        gpus: int,
        provisioning: Provisioning,
        seed: int,
    ) -> None:
        """Raises ValueError where what runs from the start does not fit."""
        self._services = {each.name: each for each in services}
        self._gpus = gpus
        self._fleets = {
            each.name: _fleet(each, provisioning=provisioning, seed=seed + _SEED_STRIDE * index)
            for index, each in enumerate(services)
        }
        self._lookouts = {
            name: Lookout(fleet, faults=Faults()) for name, fleet in self._fleets.items()
        }
        self._waiting: list[_Waiting] = []
        for each in services:
            self._fleets[each.name].begin(each.initial_replicas)
        if self.gpus_in_use > gpus:
            raise ValueError(
                f"the first replicas take {self.gpus_in_use} GPUs and there are {gpus}; start with fewer"
            )

    @property
    def fleets(self) -> Mapping[ServiceName, Fleet]:
        """By service."""
        return self._fleets

    @property
    def gpus_in_use(self) -> int:
        """Of replicas that start, serve or drain."""
        return sum(self.gpus_of(name) for name in self._fleets)

    def gpus_of(self, service: ServiceName) -> int:
        """In use by one service."""
        fleet = self._fleets[service]
        count = fleet.ordered_replicas + fleet.draining_replicas
        return count * self._services[service].setting.gpus_per_replica

    def waiting_replicas(self, service: ServiceName) -> int:
        """Wished for, without room."""
        return sum(each.service == service for each in self._waiting)

    def advance(self, to_seconds: float) -> dict[ServiceName, int]:
        """Everything until then; {service: replicas that found room at last}."""
        for fleet in self._fleets.values():
            fleet.advance(to_seconds)
        return self._place()

    def look(self) -> dict[ServiceName, FleetView]:
        """What can be seen of each. Replicas that wait for room are ordered and not ready."""
        return {
            name: self._with_waiting(name, view=lookout.look())
            for name, lookout in self._lookouts.items()
        }

    def order(self, wishes: Mapping[ServiceName, int]) -> dict[ServiceName, int]:
        """Carries out wishes, each within its service's limits: what is given back first, then what
        fits. {service: replicas ordered or taken back}.
        """
        changes = dict.fromkeys(wishes, 0)
        missing = {name: self._missing(name, wished=wished) for name, wished in wishes.items()}
        for name, count in missing.items():
            changes[name] += self._give_back(name, count=max(0, -count))
        for name, count in missing.items():
            now = self._fleets[name].now_seconds
            self._waiting += [_Waiting(service=name, since_seconds=now) for _ in range(count)]
        for name, count in self._place().items():
            changes[name] = changes.get(name, 0) + count
        return changes

    def _missing(self, name: ServiceName, *, wished: int) -> int:
        setting = self._services[name].setting
        wanted = max(setting.min_replicas, min(wished, setting.max_replicas))
        return wanted - self._fleets[name].ordered_replicas - self.waiting_replicas(name)

    def _give_back(self, name: ServiceName, *, count: int) -> int:
        """First what only waits, the newest first; how many replicas were taken back."""
        newest = [each for each in reversed(self._waiting) if each.service == name][:count]
        self._waiting = [each for each in self._waiting if all(each is not gone for gone in newest)]
        fleet = self._fleets[name]
        return fleet.order(fleet.ordered_replicas - (count - len(newest)))

    def _place(self) -> dict[ServiceName, int]:
        placed: dict[ServiceName, int] = {}
        still: list[_Waiting] = []
        free = self._gpus - self.gpus_in_use
        for each in self._waiting:
            gpus = self._services[each.service].setting.gpus_per_replica
            if gpus > free:
                still.append(each)
                continue
            free -= gpus
            fleet = self._fleets[each.service]
            fleet.order(fleet.ordered_replicas + 1)
            placed[each.service] = placed.get(each.service, 0) + 1
        self._waiting = still
        return placed

    def _with_waiting(self, name: ServiceName, *, view: FleetView) -> FleetView:
        since = tuple(each.since_seconds for each in self._waiting if each.service == name)
        return replace(
            view,
            ordered_replicas=view.ordered_replicas + len(since),
            pending_ordered_seconds=(*view.pending_ordered_seconds, *since),
        )


def _fleet(service: SharedService, *, provisioning: Provisioning, seed: int) -> Fleet:
    plant = ServicePlant(
        workload=service.workload,
        costs=service.setting.costs,
        limits=service.setting.limits,
        hold_timeout_seconds=service.hold_timeout_seconds,
    )
    return Fleet(
        plant=plant,
        setting=service.setting,
        provisioning=provisioning,
        random=np.random.default_rng(seed),
    )

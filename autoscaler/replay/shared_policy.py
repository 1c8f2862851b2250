"""Who decides in a replay of several services: one policy for all, or one for each that knows no other.

In: views per service. Out: wished replicas per service. `decide` sees all services and the memory they
share; peers are asked one by one, as controllers that each scale one deployment are.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from autoscaler.model.decision import Decision
from autoscaler.model.state import ControllerState
from autoscaler.replay.catalogue import Declared, catalogue_of, declared_service, discrete_pool
from autoscaler.replay.controller import ReplayController
from autoscaler.replay.decide_policy import wanted_replicas
from autoscaler.replay.seen_service import START_TIMESTAMP_SECONDS, Names, SeenService, fresh
from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.view import FleetView, Policy
from collector.model.catalogue import Catalogue, Control
from collector.model.ids import PoolName, ServiceName, VariantName
from collector.model.snapshot import PoolView, Snapshot

GPU_BYTES: Final = 2**30
"""Of the pool, one GPU: replicas take whole ones, so only proportions matter."""
POOL: Final = PoolName("gpus")


class SharedPolicy(Protocol):
    """Decides the replicas of several services. One instance per replay; it may remember."""

    @property
    def interval_seconds(self) -> float:
        """How often it is asked."""
        ...

    @property
    def decisions(self) -> Sequence[Decision]:
        """The last ones, where the policy gives reasons; else none."""
        ...

    def desired_replicas(self, views: Mapping[ServiceName, FleetView]) -> dict[ServiceName, int]:
        """How many replicas of each service are wished for."""
        ...


class PeerPolicies:
    """A policy of its own for every service."""

    decisions: Sequence[Decision] = ()

    def __init__(self, policies: Mapping[ServiceName, Policy]) -> None:
        """Raises ValueError where they want to be asked at different intervals."""
        intervals = {each.interval_seconds for each in policies.values()}
        if len(intervals) != 1:
            raise ValueError(f"policies are asked every {sorted(intervals)} s; give one interval")
        self._policies = dict(policies)
        self._interval_seconds = intervals.pop()

    @property
    def interval_seconds(self) -> float:
        """Of all of them."""
        return self._interval_seconds

    def desired_replicas(self, views: Mapping[ServiceName, FleetView]) -> dict[ServiceName, int]:
        """What each says for its own service."""
        return {name: each.desired_replicas(views[name]) for name, each in self._policies.items()}


class DecideShared:
    """Foresail itself: one `decide` over all services."""

    def __init__(
        self,
        services: Sequence[SharedService],
        *,
        gpus: int,
        control: Control | None = None,
        interval_seconds: float = 15.0,
    ) -> None:
        self._interval_seconds = interval_seconds
        self._gpus = gpus
        self._gpus_per_replica = {each.name: each.setting.gpus_per_replica for each in services}
        self._seen = {each.name: _seen(each) for each in services}
        self._controller = ReplayController(
            shared_catalogue(services, gpus=gpus, control=control or Control()),
            state=ControllerState(),
        )
        self.decisions: Sequence[Decision] = ()

    @property
    def interval_seconds(self) -> float:
        """As live control decides."""
        return self._interval_seconds

    def desired_replicas(self, views: Mapping[ServiceName, FleetView]) -> dict[ServiceName, int]:
        """What the decisions come to; present counts where they hold."""
        elapsed = next(iter(views.values())).now_seconds
        now = START_TIMESTAMP_SECONDS + elapsed
        for name, view in views.items():
            self._controller.apply(self._seen[name].events(view))
        snapshot = self._snapshot(views, now=now)
        self.decisions = self._controller.tick(snapshot, now=now, elapsed_seconds=elapsed)
        return {
            each.service: wanted_replicas(each, view=views[each.service]) for each in self.decisions
        }

    def _snapshot(self, views: Mapping[ServiceName, FleetView], *, now: float) -> Snapshot:
        seen = self._seen
        return Snapshot(
            taken_timestamp_seconds=now,
            services=tuple(seen[name].service_view(view, now=now) for name, view in views.items()),
            replicas=tuple(
                each
                for name, view in views.items()
                for each in seen[name].replica_views(view, now=now)
            ),
            pools=(PoolView(pool=POOL, available_bytes=fresh(self._free(views), now=now)),),
            gateway_start_timestamp_seconds=fresh(START_TIMESTAMP_SECONDS, now=now),
        )

    def _free(self, views: Mapping[ServiceName, FleetView]) -> int:
        """Bytes that nothing holds yet; what is promised to a start is not taken before it serves."""
        taken = sum(
            (view.ready_replicas + view.draining_replicas) * self._gpus_per_replica[name]
            for name, view in views.items()
        )
        return (self._gpus - taken) * GPU_BYTES


def shared_catalogue(
    services: Sequence[SharedService], *, gpus: int, control: Control
) -> Catalogue:
    """All of them on one pool, each under the objectives of its setting."""
    return catalogue_of(
        tuple(declared_service(each.setting, declared=_declared(each)) for each in services),
        tiers=tuple({each.tier.name: each.tier for each in services}.values()),
        pool=discrete_pool(POOL, capacity_bytes=gpus * GPU_BYTES),
        control=control,
    )


def _declared(service: SharedService) -> Declared:
    return Declared(
        service=service.name,
        variant=VariantName(service.name),
        tier=service.tier.name,
        pool=POOL,
        memory_bytes=service.setting.gpus_per_replica * GPU_BYTES,
        hold_timeout_seconds=service.hold_timeout_seconds,
    )


def _seen(service: SharedService) -> SeenService:
    declared = _declared(service)
    return SeenService(
        Names(
            service=declared.service,
            variant=declared.variant,
            replica_prefix=f"{declared.service}-",
        ),
        setting=service.setting,
        memory_bytes=declared.memory_bytes,
        is_probed=True,
    )

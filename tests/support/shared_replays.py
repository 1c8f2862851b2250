"""Several small services on a few GPUs, and policies that are told beforehand what to wish for."""

from collections.abc import Mapping, Sequence

from autoscaler.model.decision import Decision
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.shared_fleet import SharedFleet, SharedService
from autoscaler.replay.view import FleetView
from autoscaler.replay.workload import Workload
from collector.model.catalogue import Tier
from collector.model.ids import ServiceName, TierName
from support.replays import make_setting, make_workload

A, B, C = ServiceName("a"), ServiceName("b"), ServiceName("c")


def make_shared(
    name: ServiceName,
    *,
    workload: Workload | None = None,
    gpus_per_replica: int = 1,
    initial_replicas: int = 0,
    min_replicas: int = 0,
    max_replicas: int = 8,
    price: float = 10.0,
) -> SharedService:
    """Engines of one step per second that start in 30 s, without requests unless given."""
    return SharedService(
        name=name,
        tier=Tier(name=TierName(f"tier-{price:g}"), violation_price_per_minute=price),
        workload=make_workload() if workload is None else workload,
        setting=make_setting(
            gpus_per_replica=gpus_per_replica, min_replicas=min_replicas, max_replicas=max_replicas
        ),
        initial_replicas=initial_replicas,
        hold_timeout_seconds=60.0,
    )


def make_shared_fleet(*services: SharedService, gpus: int) -> SharedFleet:
    """Starts take 30 s exactly."""
    return SharedFleet(services, gpus=gpus, provisioning=Provisioning(sigma=0.0), seed=0)


class SharedScript:
    """Wishes at points in time; notes the GPUs that views account for."""

    decisions: Sequence[Decision] = ()

    def __init__(
        self,
        *wishes: tuple[float, Mapping[ServiceName, int]],
        interval_seconds: float = 15.0,
    ) -> None:
        self._wishes = wishes
        self._interval_seconds = interval_seconds

    @property
    def interval_seconds(self) -> float:
        """As given."""
        return self._interval_seconds

    def desired_replicas(self, views: Mapping[ServiceName, FleetView]) -> dict[ServiceName, int]:
        """The last wish that is due for each; what there is before the first."""
        wanted = {name: view.ordered_replicas for name, view in views.items()}
        for at, wish in self._wishes:
            if at <= next(iter(views.values())).now_seconds:
                wanted |= wish
        return wanted

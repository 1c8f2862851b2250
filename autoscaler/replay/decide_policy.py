"""`decide` as a replay policy: the live decision, fed through the live snapshot.

In: views of the simulated fleet. Out: how many replicas `decide` wants. Builds the snapshot that the
collector would have assembled, keeps the history in the same store, and hands on the events that the
executor would have reported. Adds no rule of its own.
"""

from autoscaler.model.action import Scale
from autoscaler.model.decision import Decision
from autoscaler.model.state import ControllerState
from autoscaler.replay.catalogue import POOL, REPLICA_BYTES, SERVICE, VARIANT, replay_catalogue
from autoscaler.replay.controller import ReplayController
from autoscaler.replay.faulty_snapshot import repeated, unanswered
from autoscaler.replay.seen_service import START_TIMESTAMP_SECONDS, Names, SeenService, fresh
from autoscaler.replay.view import FleetView, Setting
from collector.model.catalogue import Control
from collector.model.snapshot import PoolView, Snapshot


class DecidePolicy:
    """Foresail itself, with its shipped defaults unless another control is given."""

    def __init__(
        self,
        setting: Setting,
        *,
        control: Control | None = None,
        interval_seconds: float = 15.0,
        is_probed: bool = True,
        state: ControllerState | None = None,
    ) -> None:
        """`is_probed`: the first replica was probed at its start; else its capacity is unknown."""
        self._interval_seconds = interval_seconds
        self._max_replicas = setting.max_replicas
        self._controller = ReplayController(
            replay_catalogue(setting, control=control or Control()),
            state=state or ControllerState(),
        )
        self._seen = SeenService(
            Names(service=SERVICE, variant=VARIANT),
            setting=setting,
            memory_bytes=REPLICA_BYTES,
            is_probed=is_probed,
        )
        self._told: Snapshot | None = None  # the last one, with what the faults did to it
        self.decision: Decision | None = None  # the last one, for reports

    @property
    def interval_seconds(self) -> float:
        """As live control decides."""
        return self._interval_seconds

    @property
    def state(self) -> ControllerState:
        """Everything learned so far."""
        return self._controller.state

    def desired_replicas(self, view: FleetView) -> int:
        """What the decision comes to; the present count when it holds or only advises."""
        now = START_TIMESTAMP_SECONDS + view.now_seconds
        self._controller.apply(self._seen.events(view))
        self._told = _as_seen(self._snapshot(view, now=now), view=view, before=self._told)
        decisions = self._controller.tick(
            self._told,
            now=now,
            elapsed_seconds=(
                view.now_seconds if view.elapsed_seconds is None else view.elapsed_seconds
            ),
        )
        self.decision = next(each for each in decisions if each.service == SERVICE)
        return wanted_replicas(self.decision, view=view)

    def _snapshot(self, view: FleetView, *, now: float) -> Snapshot:
        free = self._max_replicas * 2 - view.ordered_replicas - view.draining_replicas
        return Snapshot(
            taken_timestamp_seconds=now,
            services=(self._seen.service_view(view, now=now),),
            replicas=self._seen.replica_views(view, now=now),
            pools=(PoolView(pool=POOL, available_bytes=fresh(free * REPLICA_BYTES, now=now)),),
            gateway_start_timestamp_seconds=fresh(START_TIMESTAMP_SECONDS, now=now),
        )


def wanted_replicas(decision: Decision, *, view: FleetView) -> int:
    """What a decision comes to; the present count when it holds or only advises."""
    action = decision.action
    if decision.is_effective and isinstance(action, Scale):
        return action.to_replicas
    return view.ordered_replicas


def _as_seen(snapshot: Snapshot, *, view: FleetView, before: Snapshot | None) -> Snapshot:
    """With what the faults of the replay do to it."""
    if view.read_seconds is not None:
        read = START_TIMESTAMP_SECONDS + view.read_seconds
        return unanswered(snapshot, read_timestamp_seconds=read)
    return repeated(snapshot, fault=view.series_fault, before=before)

"""What the engines of each service have produced between two snapshots. Pure.

In: two snapshots, and how long the interval is that the tokens will be laid on. Out: output tokens by
service, as `increments` appends them. A service is told only when each of its replicas that worked was
counted at both ends of that time: a part would look like less demand, and what was produced while a
page stayed unread like a burst at the moment it answers again.
"""

from collections.abc import Mapping

from collector.model.ids import ReplicaId, ServiceName
from collector.model.reading import Fresh, Missing
from collector.model.replica import ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView, Snapshot

WORKING_STATES = frozenset({ReplicaState.SERVING, ReplicaState.DRAINING})
MAX_SPAN_ERROR_RATIO = 0.5
"""Of the interval, between a replica's two readings and it: pages of one look are read moments apart."""


def engine_output_increases(
    previous: Snapshot, current: Snapshot, *, seconds: float
) -> Mapping[ServiceName, float]:
    """{service: output tokens its engines produced}; without those that cannot be told whole.

    A replica that began, ended, restarted or was not read in between leaves its service out, and so does
    one whose readings lie much closer together or further apart than these `seconds`.
    """
    before, after = _working(previous), _working(current)
    found: dict[ServiceName, float] = {}
    unknown = {view.replica.service for key, view in before.items() if key not in after}
    for key, view in after.items():
        service = view.replica.service
        increase = _increase(before.get(key), view, seconds=seconds)
        if increase is None:
            unknown.add(service)
        else:
            found[service] = found.get(service, 0.0) + increase
    return {service: tokens for service, tokens in found.items() if service not in unknown}


def _working(snapshot: Snapshot) -> dict[ReplicaId, ReplicaView]:
    return {
        view.replica.replica_id: view
        for view in snapshot.replicas
        # An engine that only computes prompts gives one token of each, which the other one gives too.
        if view.replica.state in WORKING_STATES and view.replica.role is not EngineRole.PREFILL
    }


def _increase(before: ReplicaView | None, after: ReplicaView, *, seconds: float) -> float | None:
    if before is None:
        return None
    old, new = before.output_tokens_total, after.output_tokens_total
    if isinstance(old, Missing) or not isinstance(new, Fresh) or new.value < old.value:
        return None
    span = new.observed_timestamp_seconds - old.observed_timestamp_seconds
    is_of_this_time = abs(span - seconds) <= MAX_SPAN_ERROR_RATIO * seconds
    return new.value - old.value if is_of_this_time else None

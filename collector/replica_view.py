"""Parts of a replica's view that need no page. Pure; a part of `assemble`.

In: a replica, or two readings of it. Out: a view without readings, or one reading of both.
"""

from collections.abc import Mapping
from dataclasses import replace

from collector.engine_view import engine_view_without_readings
from collector.model.reading import Missing, MissingReason, Number, Stale, known_value
from collector.model.replica import Replica, ReplicaState
from collector.model.snapshot import ReplicaView

ABSENCE: Mapping[ReplicaState, MissingReason] = {
    ReplicaState.PENDING: MissingReason.NOT_READ_YET,
    ReplicaState.LOADING: MissingReason.NOT_READ_YET,
    ReplicaState.SERVING: MissingReason.NOT_READ_YET,
    ReplicaState.DRAINING: MissingReason.NOT_READ_YET,
    ReplicaState.ASLEEP: MissingReason.ASLEEP,
    ReplicaState.STOPPED: MissingReason.SOURCE_UNREACHABLE,
    ReplicaState.FAILED: MissingReason.SOURCE_UNREACHABLE,
}
"""Why nothing is known of a replica that was not asked."""


def together(running: Number, waiting: Number) -> Number:
    """The sum, as good as its worse part."""
    for part in (running, waiting):
        if isinstance(part, Missing):
            return part
    worse = running if isinstance(running, Stale) else waiting
    total = (known_value(running) or 0.0) + (known_value(waiting) or 0.0)
    return worse if isinstance(worse, Missing) else replace(worse, value=total)


def view_without_readings(replica: Replica, reason: MissingReason, *, source: str) -> ReplicaView:
    """A view in which everything is missing for this reason."""
    missing = Missing(reason=reason, source=source)
    return ReplicaView(
        replica=replica,
        running_requests=missing,
        waiting_requests=missing,
        prompt_tokens_total=missing,
        output_tokens_total=missing,
        in_flight_requests=missing,
        memory_bytes=missing,
        engine=engine_view_without_readings(reason, source=source),
    )

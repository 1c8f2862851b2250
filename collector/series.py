"""The name table of what `collector.exporter` publishes: name, kind, unit, help and labels of each.

Rules, panels and runbooks take names from here, so that a rename is one edit. The gateway's own
series stand in its contract file; they are not published again. Data only; no metrics library.
"""

from dataclasses import dataclass

from collector.model.contract import SeriesKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One family on `/metrics`."""

    name: str  # as exported: counters with `_total`
    kind: SeriesKind
    unit: str
    text: str  # the help line
    labels: tuple[str, ...] = ()


def _gauge(name: str, unit: str, text: str, *labels: str) -> Series:
    return Series(name=name, kind=SeriesKind.GAUGE, unit=unit, text=text, labels=labels)


_REPLICA = ("service", "variant", "replica")

REPLICAS = _gauge(
    "foresail_replicas", "replicas", "Replicas by state.", "service", "variant", "state"
)
REPLICA_RUNNING_REQUESTS = _gauge(
    "foresail_replica_running_requests", "requests", "Requests in the engine's batch.", *_REPLICA
)
REPLICA_WAITING_REQUESTS = _gauge(
    "foresail_replica_waiting_requests", "requests", "Requests queued in the engine.", *_REPLICA
)
REPLICA_MEMORY_BYTES = _gauge(
    "foresail_replica_memory_bytes", "bytes", "Memory the replica holds in its pool.", *_REPLICA
)
POOL_AVAILABLE_BYTES = _gauge(
    "foresail_pool_available_bytes", "bytes", "What the host could still give out.", "pool"
)
POOL_BUDGET_BYTES = _gauge(
    "foresail_pool_budget_bytes", "bytes", "What replicas may hold together, as declared.", "pool"
)
READINGS = _gauge(
    "foresail_readings", "readings", "Readings of the latest snapshot by state.", "state"
)
MISSING_READINGS = _gauge(
    "foresail_missing_readings", "readings", "Missing readings by reason.", "reason"
)
READING_AGE_SECONDS = _gauge(
    "foresail_reading_age_seconds", "seconds", "Age of the oldest reading of a source.", "source"
)
SNAPSHOT_PROBLEMS = _gauge(
    "foresail_snapshot_problems",
    "problems",
    "Things told that could not be used, in the latest snapshot.",
    "source",
)
SNAPSHOT_TIMESTAMP_SECONDS = _gauge(
    "foresail_snapshot_timestamp_seconds", "seconds", "When the latest snapshot was taken."
)
OBSERVE_STEP_SECONDS = _gauge(
    "foresail_observe_step_seconds", "seconds", "Time the latest snapshot took, by step.", "step"
)
SOURCE_ERRORS_TOTAL = Series(
    name="foresail_source_errors_total",
    kind=SeriesKind.COUNTER,
    unit="errors",
    text="Reads of a source that gave no usable answer.",
    labels=("source",),
)

SERIES = (
    REPLICAS,
    REPLICA_RUNNING_REQUESTS,
    REPLICA_WAITING_REQUESTS,
    REPLICA_MEMORY_BYTES,
    POOL_AVAILABLE_BYTES,
    POOL_BUDGET_BYTES,
    READINGS,
    MISSING_READINGS,
    READING_AGE_SECONDS,
    SNAPSHOT_PROBLEMS,
    SNAPSHOT_TIMESTAMP_SECONDS,
    OBSERVE_STEP_SECONDS,
    SOURCE_ERRORS_TOTAL,
)

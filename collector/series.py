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


def _counter(name: str, unit: str, text: str, *labels: str) -> Series:
    return Series(name=name, kind=SeriesKind.COUNTER, unit=unit, text=text, labels=labels)


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
REPLICA_KV_USE_RATIO = _gauge(
    "foresail_replica_kv_use_ratio", "ratio", "Share of the engine's KV cache in use.", *_REPLICA
)
REPLICA_KV_CAPACITY_TOKENS = _gauge(
    "foresail_replica_kv_capacity_tokens", "tokens", "Tokens the KV cache can hold.", *_REPLICA
)
REPLICA_PREEMPTIONS_TOTAL = _counter(
    "foresail_replica_preemptions_total",
    "preemptions",
    "Requests that had to give up their place in the engine's batch.",
    *_REPLICA,
)
REPLICA_PREFIX_CACHE_QUERIED_TOKENS_TOTAL = _counter(
    "foresail_replica_prefix_cache_queried_tokens_total",
    "tokens",
    "Prompt tokens looked for in the engine's prefix cache.",
    *_REPLICA,
)
REPLICA_PREFIX_CACHE_HIT_TOKENS_TOTAL = _counter(
    "foresail_replica_prefix_cache_hit_tokens_total",
    "tokens",
    "Prompt tokens found in the engine's prefix cache.",
    *_REPLICA,
)
REPLICA_FAILED_REQUESTS_TOTAL = _counter(
    "foresail_replica_failed_requests_total",
    "requests",
    "Requests that the engine ended in an error.",
    *_REPLICA,
)
REPLICA_IS_ASLEEP = _gauge(
    "foresail_replica_is_asleep", "bool", "1 while the engine says that it sleeps.", *_REPLICA
)
REPLICA_ENGINE_INFO = _gauge(
    "foresail_replica_engine_info",
    "info",
    "1, with version and settings as the engine tells them; empty where it does not.",
    *_REPLICA,
    "version",
    "config_hash",
)
POOL_AVAILABLE_BYTES = _gauge(
    "foresail_pool_available_bytes",
    "bytes",
    "What the host or the pool's accelerator could still give out.",
    "pool",
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
SOURCE_ERRORS_TOTAL = _counter(
    "foresail_source_errors_total",
    "errors",
    "Reads of a source that gave no usable answer.",
    "source",
)

SERIES = (
    REPLICAS,
    REPLICA_RUNNING_REQUESTS,
    REPLICA_WAITING_REQUESTS,
    REPLICA_MEMORY_BYTES,
    REPLICA_KV_USE_RATIO,
    REPLICA_KV_CAPACITY_TOKENS,
    REPLICA_PREEMPTIONS_TOTAL,
    REPLICA_PREFIX_CACHE_QUERIED_TOKENS_TOTAL,
    REPLICA_PREFIX_CACHE_HIT_TOKENS_TOTAL,
    REPLICA_FAILED_REQUESTS_TOTAL,
    REPLICA_IS_ASLEEP,
    REPLICA_ENGINE_INFO,
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

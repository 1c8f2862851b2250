"""The metric contract as values: which series of which engine version mean which canonical signal.

Made from the YAML files beside `collector.contract.loader`; `normalise` reads it to turn a page of
samples into readings. What no rule names stays unread: a renamed series must show up as a missing
reading, never as a quiet engine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.model.replica import EngineKind


class EngineSignal(StrEnum):
    """What Foresail wants to know of one engine, whatever the engine calls it."""

    RUNNING_REQUESTS = "running_requests"
    WAITING_REQUESTS = "waiting_requests"
    WAITING_REQUESTS_BY_REASON = "waiting_requests_by_reason"
    PROMPT_TOKENS_TOTAL = "prompt_tokens_total"  # computed, cached ones excluded where it can tell
    OUTPUT_TOKENS_TOTAL = "output_tokens_total"
    FINISHED_REQUESTS_TOTAL = "finished_requests_total"  # by reason
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105  not a secret
    INTER_TOKEN_LATENCY = "inter_token_latency"  # noqa: S105
    END_TO_END_LATENCY = "end_to_end_latency"
    QUEUE_TIME = "queue_time"
    PREEMPTIONS_TOTAL = "preemptions_total"
    KV_USE_RATIO = "kv_use_ratio"
    KV_CAPACITY_TOKENS = "kv_capacity_tokens"
    SLEEP_STATE = "sleep_state"


class GatewaySignal(StrEnum):
    """What Foresail's own gateway tells, per service unless said otherwise."""

    ARRIVED_REQUESTS_TOTAL = "arrived_requests_total"
    FINISHED_REQUESTS_TOTAL = "finished_requests_total"  # by service and outcome
    ADMITTED_PROMPT_TOKENS_TOTAL = "admitted_prompt_tokens_total"
    OUTPUT_TOKENS_TOTAL = "output_tokens_total"
    IN_FLIGHT_REQUESTS = "in_flight_requests"
    REPLICA_IN_FLIGHT_REQUESTS = "replica_in_flight_requests"  # by replica
    HELD_REQUESTS = "held_requests"
    OLDEST_HELD_SECONDS = "oldest_held_seconds"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105
    INTER_TOKEN_LATENCY = "inter_token_latency"  # noqa: S105
    END_TO_END_LATENCY = "end_to_end_latency"
    PROMPT_BYTES_PER_TOKEN_RATIO = "prompt_bytes_per_token_ratio"  # noqa: S105
    START_TIMESTAMP_SECONDS = "start_timestamp_seconds"  # of the gateway, no service
    ROUTES_VERSION = "routes_version"  # of the gateway, no service


CanonicalSignal = EngineSignal | GatewaySignal


class SeriesKind(StrEnum):
    """What a series does over time, which decides how it may be read."""

    COUNTER = "counter"  # only rises, except at a restart
    GAUGE = "gauge"  # now; says nothing while the engine sleeps
    HISTOGRAM = "histogram"  # cumulative buckets with `le`
    INFO = "info"  # constant 1; the fact stands in the labels
    STATE = "state"  # one series per state, 1 for the one that holds


class Aggregation(StrEnum):
    """How the values of one label's series become one value."""

    SUM = "sum"
    MAX = "max"
    MEAN = "mean"


class SleepState(StrEnum):
    """Whether an engine can work now."""

    AWAKE = "awake"
    ASLEEP_LEVEL_1 = "asleep_level_1"  # weights in host memory
    ASLEEP_LEVEL_2 = "asleep_level_2"  # weights dropped


_VERSION_NUMBERS = re.compile(r"[vb]?(\d+(?:\.\d+)*)")


def version_numbers(text: str) -> tuple[int, ...]:
    """The leading dotted numbers, trailing zeros cut: "0.12.0rc1" -> (0, 12), "b4567" -> (4567,).

    Raises ValueError when the text starts with no number.
    """
    match = _VERSION_NUMBERS.match(text.strip())
    if match is None:
        raise ValueError(f"version must start with a number such as 0.12, got {text!r}")
    numbers = [int(part) for part in match.group(1).split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRange:
    """From `lower` (included) to `upper` (excluded); None: open on that side."""

    lower: tuple[int, ...] | None = None
    upper: tuple[int, ...] | None = None

    def contains(self, version: tuple[int, ...]) -> bool:
        """Whether the version lies inside."""
        above = self.lower is None or version >= self.lower
        return above and (self.upper is None or version < self.upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSource:
    """One way an engine has told a signal."""

    names: tuple[str, ...]  # every spelling, preferred one first; histograms without _bucket
    versions: VersionRange
    select: Mapping[str, frozenset[str]]  # {label: values that count}; others are another thing
    value_labels: tuple[str, ...]  # INFO only: the value is the product of these labels
    scale: float  # to the base unit


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRule:
    """How one canonical signal is made."""

    signal: CanonicalSignal
    kind: SeriesKind
    unit: str
    keep: tuple[str, ...]  # labels that stay, in the order of the reading's key
    aggregate: Mapping[str, Aggregation]  # {label: how}, applied in this order
    sources: tuple[SeriesSource, ...]  # the first one that is on the page is used
    state_label: str | None = None  # STATE only
    states: Mapping[str, SleepState] | None = None  # STATE only: {label value: state}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path of the engine, and whether looking at it leaves the engine as it was."""

    path: str
    serves_metrics: bool
    observer_safe: VersionRange | None  # versions in which it may be polled; None: never
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything known about the metric page of one engine (or of the gateway)."""

    engine: str  # an EngineKind value, or "foresail_gateway"
    versions: VersionRange  # the contract was held against these
    assumed_version: tuple[int, ...]  # taken where nobody can say which version runs
    endpoints: tuple[Endpoint, ...]
    dropped_suffixes: tuple[str, ...]  # series that carry nothing, e.g. "_created"
    rules: Mapping[CanonicalSignal, SignalRule]
    cannot_see: Mapping[CanonicalSignal, str]  # {signal: why, in one sentence}

    def metrics_path(self, version: tuple[int, ...] | None) -> str | None:
        """The path that may be polled for metrics; None when looking would change the engine."""
        known = self.assumed_version if version is None else version
        for endpoint in self.endpoints:
            safe = endpoint.observer_safe
            if endpoint.serves_metrics and safe is not None and safe.contains(known):
                return endpoint.path
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """All contracts of this installation."""

    engines: Mapping[EngineKind, Contract]
    gateway: Contract

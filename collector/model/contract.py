"""The metric contract as values: which series of which engine version mean which canonical signal.

Made from the YAML files beside `collector.contract.loader`; `normalise` reads it to turn a page of
samples into readings. What no rule names stays unread: a renamed series must show up as a missing
reading, never as a quiet engine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    TIME_PER_OUTPUT_TOKEN = "time_per_output_token"  # noqa: S105  mean of one finished request
    PREFIX_CACHE_QUERIED_TOKENS_TOTAL = "prefix_cache_queried_tokens_total"
    PREFIX_CACHE_HIT_TOKENS_TOTAL = "prefix_cache_hit_tokens_total"
    FAILED_REQUESTS_TOTAL = "failed_requests_total"
    REJECTED_REQUESTS_TOTAL = "rejected_requests_total"  # turned away before they were queued
    REQUEST_PROMPT_TOKENS = "request_prompt_tokens"  # length of one request
    REQUEST_OUTPUT_TOKENS = "request_output_tokens"
    LORA_SLOTS_IN_USE = "lora_slots_in_use"
    SLEEP_OPERATION_TIME = "sleep_operation_time"  # by operation
    KV_BLOCK_TOKENS = "kv_block_tokens"  # tokens in one block of the KV cache
    CONTEXT_LENGTH_TOKENS = "context_length_tokens"


class GatewaySignal(StrEnum):
    """What Foresail's own gateway tells, per service unless said otherwise."""

    ARRIVED_REQUESTS_TOTAL = "arrived_requests_total"
    FINISHED_REQUESTS_TOTAL = "finished_requests_total"  # by service and outcome
    ADMITTED_PROMPT_TOKENS_TOTAL = "admitted_prompt_tokens_total"
    OUTPUT_TOKENS_TOTAL = "output_tokens_total"
    OVERFLOW_OPEN = "overflow_open"
    OVERFLOW_REQUESTS_TOTAL = "overflow_requests_total"
    OVERFLOW_COMPLETED_REQUESTS_TOTAL = "overflow_completed_requests_total"
    OVERFLOW_PROMPT_TOKENS_TOTAL = "overflow_prompt_tokens_total"
    OVERFLOW_OUTPUT_TOKENS_TOTAL = "overflow_output_tokens_total"
    OVERFLOW_IN_FLIGHT_REQUESTS = "overflow_in_flight_requests"
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


class RouterSignal(StrEnum):
    """What the router or gateway of somebody else tells, per model it serves."""

    MODEL_REQUESTS_TOTAL = "model_requests_total"
    MODEL_FAILED_REQUESTS_TOTAL = "model_failed_requests_total"
    MODEL_RUNNING_REQUESTS = "model_running_requests"  # taken and not answered in full
    MODEL_WAITING_REQUESTS = "model_waiting_requests"
    MODEL_PROMPT_TOKENS_TOTAL = "model_prompt_tokens_total"
    MODEL_OUTPUT_TOKENS_TOTAL = "model_output_tokens_total"
    MODEL_TIME_TO_FIRST_TOKEN = "model_time_to_first_token"  # noqa: S105
    MODEL_INTER_TOKEN_LATENCY = "model_inter_token_latency"  # noqa: S105
    MODEL_TIME_PER_OUTPUT_TOKEN = "model_time_per_output_token"  # noqa: S105
    MODEL_END_TO_END_LATENCY = "model_end_to_end_latency"
    MODEL_QUEUE_TIME = "model_queue_time"
    READY_ENDPOINTS = "ready_endpoints"  # by pool, or by model


class DeviceSignal(StrEnum):
    """What an exporter tells of one accelerator or of one of its slices."""

    DEVICE_UTILISATION_RATIO = "device_utilisation_ratio"
    DEVICE_TENSOR_ACTIVE_RATIO = "device_tensor_active_ratio"
    DEVICE_MEMORY_ACTIVE_RATIO = "device_memory_active_ratio"
    DEVICE_MEMORY_USED_BYTES = "device_memory_used_bytes"
    DEVICE_MEMORY_FREE_BYTES = "device_memory_free_bytes"
    DEVICE_POWER_WATTS = "device_power_watts"
    DEVICE_ENERGY_JOULES_TOTAL = "device_energy_joules_total"
    DEVICE_TEMPERATURE_CELSIUS = "device_temperature_celsius"
    DEVICE_SM_CLOCK_HERTZ = "device_sm_clock_hertz"
    DEVICE_MEMORY_CLOCK_HERTZ = "device_memory_clock_hertz"
    DEVICE_XID_LAST = "device_xid_last"  # code of the last fault; stays until the driver restarts
    DEVICE_XID_COUNT = "device_xid_count"  # by code, within the exporter's window
    DEVICE_ECC_DOUBLE_BIT_ERRORS_TOTAL = "device_ecc_double_bit_errors_total"
    DEVICE_ECC_SINGLE_BIT_ERRORS_TOTAL = "device_ecc_single_bit_errors_total"
    DEVICE_ROW_REMAP_FAILURE = "device_row_remap_failure"
    DEVICE_POWER_VIOLATION_SECONDS_TOTAL = "device_power_violation_seconds_total"
    DEVICE_THERMAL_VIOLATION_SECONDS_TOTAL = "device_thermal_violation_seconds_total"
    DEVICE_NVLINK_CRC_ERRORS_TOTAL = "device_nvlink_crc_errors_total"
    DEVICE_NVLINK_RECOVERY_ERRORS_TOTAL = "device_nvlink_recovery_errors_total"


class HostSignal(StrEnum):
    """What an exporter tells of one machine."""

    HOST_MEMORY_TOTAL_BYTES = "host_memory_total_bytes"
    HOST_MEMORY_AVAILABLE_BYTES = "host_memory_available_bytes"
    HOST_SWAP_FREE_BYTES = "host_swap_free_bytes"
    HOST_MEMORY_PRESSURE_SOME_SECONDS_TOTAL = "host_memory_pressure_some_seconds_total"
    HOST_MEMORY_PRESSURE_FULL_SECONDS_TOTAL = "host_memory_pressure_full_seconds_total"
    HOST_OUT_OF_MEMORY_KILLS_TOTAL = "host_out_of_memory_kills_total"
    HOST_POWER_WATTS = "host_power_watts"
    HOST_TEMPERATURE_CELSIUS = "host_temperature_celsius"  # by sensor


class ClusterSignal(StrEnum):
    """What an exporter tells of the objects of one Kubernetes cluster."""

    WANTED_REPLICAS = "wanted_replicas"  # by namespace and deployment
    AVAILABLE_REPLICAS = "available_replicas"  # by namespace and deployment
    POD_PHASE = "pod_phase"  # 1 for the phase that holds, by namespace, pod and phase
    POD_RESTARTS_TOTAL = "pod_restarts_total"  # by namespace, pod and container
    REQUESTED_RESOURCES = "requested_resources"  # by namespace, pod, container and resource
    ALLOCATABLE_RESOURCES = "allocatable_resources"  # by node and resource
    AUTOSCALER_WANTED_REPLICAS = "autoscaler_wanted_replicas"  # by namespace and autoscaler
    AUTOSCALER_MAX_REPLICAS = "autoscaler_max_replicas"  # by namespace and autoscaler


CanonicalSignal = (
    EngineSignal | GatewaySignal | RouterSignal | DeviceSignal | HostSignal | ClusterSignal
)


class ExporterKind(StrEnum):
    """Pages with a contract that are neither an engine's nor our gateway's."""

    DCGM_EXPORTER = "dcgm_exporter"
    NODE_EXPORTER = "node_exporter"
    IPMI_EXPORTER = "ipmi_exporter"
    KUBE_STATE_METRICS = "kube_state_metrics"
    LLAMA_SWAP = "llama_swap"
    DYNAMO_FRONTEND = "dynamo_frontend"
    LITELLM = "litellm"
    ENDPOINT_PICKER = "endpoint_picker"
    PRODUCTION_STACK_ROUTER = "production_stack_router"
    ENVOY_AI_GATEWAY = "envoy_ai_gateway"
    KSERVE_PYTHON = "kserve_python"


class Provenance(StrEnum):
    """How we know that a series means what its row says."""

    CAPTURE = "capture"  # seen on the page of a running server; the page is in the tests
    PACKAGE = "package"  # read out of released packages, `packages/*.json`
    DOCUMENTATION = "documentation"  # its makers say so; `reference` says where
    OWN = "own"  # we write the page


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


_ANY_VERSION = VersionRange(lower=(0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSource:
    """One way an engine has told a signal."""

    names: tuple[str, ...]  # every spelling, preferred one first; histograms without _bucket
    versions: VersionRange
    select: Mapping[str, frozenset[str]]  # {label: values that count}; others are another thing
    value_labels: tuple[str, ...]  # INFO only: the value is the product of these labels
    scale: float  # to the base unit
    provenance: Provenance
    reference: str = ""  # project and document; not empty for documentation


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
    absent_until: str = ""  # what has to happen first; empty: on the page from the start


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path of the engine, and whether looking at it leaves the engine as it was."""

    path: str
    serves_metrics: bool
    observer_safe: VersionRange | None  # versions in which it may be polled; None: never
    note: str
    version_key: str | None = None  # of the JSON object it answers, where that tells the version
    sleep_key: str | None = (
        None  # of the same object, there only in builds that can sleep when idle
    )


class AdviceTopic(StrEnum):
    """What the owner of an engine may have to be told."""

    METRICS_OFF = "metrics_off"  # no metric page is served
    PERMISSION = "permission"  # the page wants a key
    BUCKETS = "buckets"  # edges of the histograms
    SERIES = "series"  # series that should be on the page are not


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Which flag or setting of the engine helps."""

    topic: AdviceTopic
    versions: VersionRange
    text: str  # an order: what to start, set or change


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneSeries:
    """A name of the past."""

    series: str
    since: str  # the first version without it
    use: str  # what to ask for now; empty: nothing replaces it
    why: str  # empty: it has only another name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything known about the metric page of one engine (or of the gateway)."""

    engine: str  # an EngineKind or ExporterKind value, or "foresail_gateway"
    versions: VersionRange  # the contract was held against these
    assumed_version: tuple[int, ...]  # taken where nobody can say which version runs
    endpoints: tuple[Endpoint, ...]
    dropped_suffixes: tuple[str, ...]  # series that carry nothing, e.g. "_created"
    rules: Mapping[CanonicalSignal, SignalRule]
    cannot_see: Mapping[CanonicalSignal, str]  # {signal: why, in one sentence}
    title: str = ""  # its makers' name for it
    keep_alive: bool = True  # False: an open connection holds one of its few threads
    idle_sleep_words: tuple[
        str, ...
    ] = ()  # of a command or environment that lets it sleep when idle
    label_names: Mapping[str, str] = field(default_factory=dict)  # {label of some versions: ours}
    label_versions: Mapping[str, VersionRange] = field(default_factory=dict)  # of the same keys
    measured_labels: frozenset[str] = frozenset()  # of info series: told at the start, not set
    advice: tuple[Advice, ...] = ()
    other_series: Mapping[str, SeriesKind | None] = field(default_factory=dict)
    """{series that tells no signal: its type, None where releases disagree}"""
    gone_series: tuple[GoneSeries, ...] = ()
    bucket_edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """{histogram: its default edges}, of those that no package tells"""

    def advice_on(self, topic: AdviceTopic, *, version: tuple[int, ...] | None) -> str | None:
        """What its owner can do about the topic in this version; None where nothing is known."""
        known = self.assumed_version if version is None else version
        found = (each for each in self.advice if each.topic is topic)
        return next((each.text for each in found if each.versions.contains(known)), None)

    def metrics_path(self, version: tuple[int, ...] | None) -> str | None:
        """The path that may be polled for metrics; None when looking would change the engine."""
        known = self.assumed_version if version is None else version
        for endpoint in self.endpoints:
            safe = endpoint.observer_safe
            if endpoint.serves_metrics and safe is not None and safe.contains(known):
                return endpoint.path
        return None

    @property
    def has_unsafe_pages(self) -> bool:
        """Whether in some version a look at its page keeps the model awake: ask which one it is first."""
        ranges = [each.observer_safe for each in self.endpoints if each.serves_metrics]
        return any(each not in (None, VersionRange(), _ANY_VERSION) for each in ranges)

    def version_endpoint(self) -> Endpoint | None:
        """Where the engine tells its version, if any version may be asked; None: nowhere."""
        return next(
            (
                each
                for each in self.endpoints
                if each.version_key and each.observer_safe in (VersionRange(), _ANY_VERSION)
            ),
            None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """All contracts of this installation."""

    engines: Mapping[EngineKind, Contract]
    gateway: Contract
    exporters: Mapping[ExporterKind, Contract] = field(default_factory=dict)

"""What Foresail does not do without a signal, in plain words: one table, data only.

`DECIDED_ON` is what a decision reads; without it the doctor speaks of a problem, without
any other signal of a warning. A test holds the table against the contract's vocabulary.
"""

from collections.abc import Mapping
from typing import Final

from collector.model.contract import (
    CanonicalSignal,
    ClusterSignal,
    DeviceSignal,
    EngineSignal,
    GatewaySignal,
    HostSignal,
    RouterSignal,
)

DECIDED_ON: Final[frozenset[CanonicalSignal]] = frozenset(
    {
        EngineSignal.RUNNING_REQUESTS,
        EngineSignal.WAITING_REQUESTS,
        EngineSignal.PROMPT_TOKENS_TOTAL,
        EngineSignal.OUTPUT_TOKENS_TOTAL,
        GatewaySignal.ARRIVED_REQUESTS_TOTAL,
        GatewaySignal.FINISHED_REQUESTS_TOTAL,
        GatewaySignal.ADMITTED_PROMPT_TOKENS_TOTAL,
        GatewaySignal.OUTPUT_TOKENS_TOTAL,
        GatewaySignal.IN_FLIGHT_REQUESTS,
        GatewaySignal.REPLICA_IN_FLIGHT_REQUESTS,
        GatewaySignal.HELD_REQUESTS,
    }
)
"""Capacity is learned only where all four of the engine are fresh; the gateway's are the demand."""

_LEARNS: Final = "what a replica sustains is not learned; the declared or probed capacity stays"
_DEMAND: Final = "demand and outcomes are not counted, so nothing is scaled in"
_SPENT: Final = "what an overflow costs is not known, so it stays closed"
_DEVICE: Final = "not shown for the accelerator"
_HOST: Final = "not shown for the machine"
_MODEL: Final = "not known per model behind this router"

DISABLES: Final[Mapping[CanonicalSignal, str]] = {
    EngineSignal.RUNNING_REQUESTS: f"saturation cannot be told: {_LEARNS}",
    EngineSignal.WAITING_REQUESTS: f"saturation cannot be told: {_LEARNS}",
    EngineSignal.PROMPT_TOKENS_TOTAL: f"prompt work cannot be told: {_LEARNS}",
    EngineSignal.OUTPUT_TOKENS_TOTAL: f"output work cannot be told: {_LEARNS}",
    EngineSignal.WAITING_REQUESTS_BY_REASON: "a full engine is not told from one that waits for something else",
    EngineSignal.FINISHED_REQUESTS_TOTAL: "without the gateway, completed and aborted requests are not counted",
    EngineSignal.FAILED_REQUESTS_TOTAL: "without the gateway, errors are not counted against availability",
    EngineSignal.REJECTED_REQUESTS_TOTAL: "requests the engine turned away are not counted",
    EngineSignal.TIME_TO_FIRST_TOKEN: "without the gateway, objectives on time to first token are not judged",
    EngineSignal.INTER_TOKEN_LATENCY: "without the gateway, objectives on inter-token latency are not judged",
    EngineSignal.END_TO_END_LATENCY: "without the gateway, objectives on end-to-end latency are not judged",
    EngineSignal.TIME_PER_OUTPUT_TOKEN: "the mean time per output token is not shown",
    EngineSignal.QUEUE_TIME: "waiting in the engine is not told from slow prefill",
    EngineSignal.PREEMPTIONS_TOTAL: "lack of KV cache is seen late, as latency",
    EngineSignal.KV_USE_RATIO: "pressure on the KV cache is not seen before requests wait",
    EngineSignal.KV_CAPACITY_TOKENS: "KV cache in use is not shown in tokens",
    EngineSignal.KV_BLOCK_TOKENS: "KV cache in use is not shown in blocks",
    EngineSignal.CONTEXT_LENGTH_TOKENS: "the longest prompt the engine takes is not shown",
    EngineSignal.PREFIX_CACHE_QUERIED_TOKENS_TOTAL: "the hit ratio of the prefix cache is not shown",
    EngineSignal.PREFIX_CACHE_HIT_TOKENS_TOTAL: "the hit ratio of the prefix cache is not shown",
    EngineSignal.REQUEST_PROMPT_TOKENS: "the lengths of prompts are not shown",
    EngineSignal.REQUEST_OUTPUT_TOKENS: "the lengths of answers are not shown",
    EngineSignal.LORA_SLOTS_IN_USE: "adapters in use are not shown",
    EngineSignal.SLEEP_STATE: "a sleeping engine is taken for an idle one",
    EngineSignal.SLEEP_OPERATION_TIME: "how long it sleeps and wakes is not shown",
    GatewaySignal.ARRIVED_REQUESTS_TOTAL: _DEMAND,
    GatewaySignal.FINISHED_REQUESTS_TOTAL: _DEMAND,
    GatewaySignal.ADMITTED_PROMPT_TOKENS_TOTAL: _DEMAND,
    GatewaySignal.OUTPUT_TOKENS_TOTAL: _DEMAND,
    GatewaySignal.OVERFLOW_OPEN: "whether an overflow is open is not shown",
    GatewaySignal.OVERFLOW_REQUESTS_TOTAL: "how many requests an overflow got is not shown",
    GatewaySignal.OVERFLOW_COMPLETED_REQUESTS_TOTAL: "what our own replicas complete is not known while it is open",
    GatewaySignal.OVERFLOW_PROMPT_TOKENS_TOTAL: _SPENT,
    GatewaySignal.OVERFLOW_OUTPUT_TOKENS_TOTAL: _SPENT,
    GatewaySignal.OVERFLOW_IN_FLIGHT_REQUESTS: "what an overflow answers is taken for a queue",
    GatewaySignal.IN_FLIGHT_REQUESTS: _DEMAND,
    GatewaySignal.REPLICA_IN_FLIGHT_REQUESTS: "a replica is not known to be idle, so none is stopped",
    GatewaySignal.HELD_REQUESTS: "requests that wait for a sleeping model are not seen",
    GatewaySignal.OLDEST_HELD_SECONDS: "how long a held request waits is not shown",
    GatewaySignal.TIME_TO_FIRST_TOKEN: "objectives on time to first token are not judged",
    GatewaySignal.INTER_TOKEN_LATENCY: "objectives on inter-token latency are not judged",
    GatewaySignal.END_TO_END_LATENCY: "objectives on end-to-end latency are not judged",
    GatewaySignal.PROMPT_BYTES_PER_TOKEN_RATIO: "how well prompt tokens are guessed is not shown",
    GatewaySignal.START_TIMESTAMP_SECONDS: "a restart of the gateway is not told from a gap",
    GatewaySignal.ROUTES_VERSION: "whether the gateway follows the newest routes is not known",
    RouterSignal.MODEL_REQUESTS_TOTAL: f"requests are {_MODEL}",
    RouterSignal.MODEL_FAILED_REQUESTS_TOTAL: f"errors are {_MODEL}",
    RouterSignal.MODEL_RUNNING_REQUESTS: f"requests under way are {_MODEL}",
    RouterSignal.MODEL_WAITING_REQUESTS: f"waiting requests are {_MODEL}",
    RouterSignal.MODEL_PROMPT_TOKENS_TOTAL: f"prompt tokens are {_MODEL}",
    RouterSignal.MODEL_OUTPUT_TOKENS_TOTAL: f"output tokens are {_MODEL}",
    RouterSignal.MODEL_TIME_TO_FIRST_TOKEN: f"time to first token is {_MODEL}",
    RouterSignal.MODEL_INTER_TOKEN_LATENCY: f"inter-token latency is {_MODEL}",
    RouterSignal.MODEL_TIME_PER_OUTPUT_TOKEN: f"time per output token is {_MODEL}",
    RouterSignal.MODEL_END_TO_END_LATENCY: f"end-to-end latency is {_MODEL}",
    RouterSignal.MODEL_QUEUE_TIME: f"time in the queue is {_MODEL}",
    RouterSignal.READY_ENDPOINTS: "how many engines the router may use is not known",
    DeviceSignal.DEVICE_UTILISATION_RATIO: f"utilisation is {_DEVICE}",
    DeviceSignal.DEVICE_TENSOR_ACTIVE_RATIO: f"use of the tensor cores is {_DEVICE}",
    DeviceSignal.DEVICE_MEMORY_ACTIVE_RATIO: f"use of the memory bandwidth is {_DEVICE}",
    DeviceSignal.DEVICE_MEMORY_USED_BYTES: f"memory in use is {_DEVICE}",
    DeviceSignal.DEVICE_MEMORY_FREE_BYTES: f"free memory is {_DEVICE}",
    DeviceSignal.DEVICE_POWER_WATTS: f"power is {_DEVICE}",
    DeviceSignal.DEVICE_ENERGY_JOULES_TOTAL: f"energy is {_DEVICE}",
    DeviceSignal.DEVICE_TEMPERATURE_CELSIUS: f"temperature is {_DEVICE}",
    DeviceSignal.DEVICE_SM_CLOCK_HERTZ: f"its clock is {_DEVICE}",
    DeviceSignal.DEVICE_MEMORY_CLOCK_HERTZ: f"the memory clock is {_DEVICE}",
    DeviceSignal.DEVICE_XID_LAST: f"the last fault is {_DEVICE}",
    DeviceSignal.DEVICE_XID_COUNT: f"faults by code are {_DEVICE}",
    DeviceSignal.DEVICE_ECC_DOUBLE_BIT_ERRORS_TOTAL: f"uncorrected memory errors are {_DEVICE}",
    DeviceSignal.DEVICE_ECC_SINGLE_BIT_ERRORS_TOTAL: f"corrected memory errors are {_DEVICE}",
    DeviceSignal.DEVICE_ROW_REMAP_FAILURE: f"a failed row remapping is {_DEVICE}",
    DeviceSignal.DEVICE_POWER_VIOLATION_SECONDS_TOTAL: f"throttling by power is {_DEVICE}",
    DeviceSignal.DEVICE_THERMAL_VIOLATION_SECONDS_TOTAL: f"throttling by heat is {_DEVICE}",
    DeviceSignal.DEVICE_NVLINK_CRC_ERRORS_TOTAL: f"NVLink errors are {_DEVICE}",
    DeviceSignal.DEVICE_NVLINK_RECOVERY_ERRORS_TOTAL: f"NVLink recoveries are {_DEVICE}",
    HostSignal.HOST_MEMORY_TOTAL_BYTES: f"memory is {_HOST}",
    HostSignal.HOST_MEMORY_AVAILABLE_BYTES: f"available memory is {_HOST}",
    HostSignal.HOST_SWAP_FREE_BYTES: f"swap is {_HOST}",
    HostSignal.HOST_MEMORY_PRESSURE_SOME_SECONDS_TOTAL: f"memory pressure is {_HOST}",
    HostSignal.HOST_MEMORY_PRESSURE_FULL_SECONDS_TOTAL: f"memory pressure is {_HOST}",
    HostSignal.HOST_OUT_OF_MEMORY_KILLS_TOTAL: f"kills for lack of memory are {_HOST}",
    HostSignal.HOST_POWER_WATTS: f"power is {_HOST}",
    HostSignal.HOST_TEMPERATURE_CELSIUS: f"temperatures are {_HOST}",
    ClusterSignal.WANTED_REPLICAS: "wanted replicas are not shown for the cluster",
    ClusterSignal.AVAILABLE_REPLICAS: "available replicas are not shown for the cluster",
    ClusterSignal.POD_PHASE: "phases of pods are not shown for the cluster",
    ClusterSignal.POD_RESTARTS_TOTAL: "restarts are not shown for the cluster",
    ClusterSignal.REQUESTED_RESOURCES: "requested accelerators are not shown for the cluster",
    ClusterSignal.ALLOCATABLE_RESOURCES: "allocatable accelerators are not shown for the cluster",
    ClusterSignal.AUTOSCALER_WANTED_REPLICAS: "what another autoscaler wants is not shown",
    ClusterSignal.AUTOSCALER_MAX_REPLICAS: "the limit of another autoscaler is not shown",
}

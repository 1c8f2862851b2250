"""One running copy of a variant, and the states it passes through."""

from dataclasses import dataclass
from enum import StrEnum

from collector.model.ids import ReplicaId, ServiceName, VariantName


class EngineKind(StrEnum):
    """Inference engines with a metric contract."""

    VLLM = "vllm"
    LLAMA_CPP = "llama_cpp"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt_llm"  # trtllm-serve
    TRITON = "triton"  # with the TensorRT-LLM backend
    LMDEPLOY = "lmdeploy"
    TGI = "tgi"
    OLLAMA = "ollama"


class ReplicaState(StrEnum):
    """Where a replica is in its life; only `serving` ones get new requests."""

    PENDING = "pending"  # ordered, process not there yet
    LOADING = "loading"  # process there, not yet healthy
    SERVING = "serving"
    DRAINING = "draining"  # gets nothing new, finishes what it has
    ASLEEP = "asleep"
    STOPPED = "stopped"
    FAILED = "failed"


SUPPLY_STATES = frozenset({ReplicaState.PENDING, ReplicaState.LOADING, ReplicaState.SERVING})
"""Replicas that serve, or will without another decision."""

HOLDING_STATES = SUPPLY_STATES | {ReplicaState.DRAINING, ReplicaState.ASLEEP}
"""Replicas that occupy (or have been promised) memory in their pool."""

ANSWERING_STATES = frozenset({ReplicaState.SERVING, ReplicaState.DRAINING})
"""Replicas whose engine is there to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Identity, place and state of one copy. Who runs it (pid, pod) is the actuator's business."""

    replica_id: ReplicaId
    service: ServiceName
    variant: VariantName
    state: ReplicaState
    ordered_timestamp_seconds: float  # when the decision to start it was carried out
    serving_timestamp_seconds: float | None  # first useful token; None while it has given none
    base_url: str | None  # http://host:port without a path; None until it is known

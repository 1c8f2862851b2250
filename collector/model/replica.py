"""One running copy of a variant, and the states it passes through."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.roles import EngineRole, HandOver


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


HAND_OVERS: Mapping[EngineKind, HandOver] = {
    EngineKind.VLLM: HandOver.IN_TURN,
    EngineKind.SGLANG: HandOver.AT_ONCE,
}
"""Engines that divide a request between roles, and how. Sources: vLLM's proxies and llm-d's routing
sidecar ask prefill for one token before they ask decode; SGLang's router sends each request to a pair.
Of engines that are not here it is not known which role tells what."""


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
    role: EngineRole | None = None  # it is one engine of a unit; None: a whole replica, or a unit

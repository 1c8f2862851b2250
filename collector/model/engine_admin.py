"""What an engine says about itself beside its metric page: models, memory, sleep, load, version.

Made by an `EngineAdminReader`; read by the node agent's page and by whoever swaps models. Every fact
is a reading, because most engines tell only a part of it. How deep an engine sleeps stands on its
metric page alone (`PageReadings.sleep_state`). Pure values.
"""

from dataclasses import dataclass
from enum import StrEnum

from collector.model.reading import Number, Reading
from collector.model.snapshot import Problem


class AdminApi(StrEnum):
    """Interfaces through which an engine, or what swaps engines, tells its state."""

    VLLM = "vllm"
    OLLAMA = "ollama"
    LLAMA_CPP = "llama_cpp"
    LLAMA_SWAP = "llama_swap"


class ModelState(StrEnum):
    """Where one model of an engine is."""

    LOADED = "loaded"  # answers without loading first
    LOADING = "loading"
    ASLEEP = "asleep"  # its process lives, and must wake before it answers
    UNLOADING = "unloading"
    UNLOADED = "unloaded"  # known, holds no memory
    DOWNLOADING = "downloading"
    FAILED = "failed"  # the last attempt to load it


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineModel:
    """One model that an engine knows."""

    name: str  # as clients ask for it; printable, unique within its engine
    state: Reading[ModelState]
    memory_bytes: Number  # weights, cache and overhead while loaded, as the engine counts them
    accelerator_memory_bytes: Number  # the part of it in the accelerator's memory
    stored_bytes: Number  # the weights as they are stored; told of unloaded models, too
    context_length_tokens: Number  # longest prompt and answer of one request
    slots: Number  # requests it works on at the same time
    expiry_timestamp_seconds: Number  # unloaded then unless asked; past: as soon as it is idle


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAdminState:
    """One look at one engine."""

    api: AdminApi
    base_url: str
    version: Reading[str]
    models: Reading[tuple[EngineModel, ...]]  # a model that is not in it is not known of
    is_asleep: Reading[bool]  # the engine as a whole, at any level; vLLM's level 0 is a pause
    is_paused: Reading[bool]  # takes requests and works on none
    in_flight_requests: Number  # taken and not answered in full, whether it sleeps or not
    serves_metrics: Reading[bool]  # whether its metric page is switched on
    problems: tuple[Problem, ...]

    @property
    def has_answered(self) -> bool:
        """Whether its list of models could be read, which all of these interfaces have."""
        return self.models.kind != "missing"

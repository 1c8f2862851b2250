"""How emulated engines run; checked when made."""

from dataclasses import dataclass

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from collector.errors import ConfigurationError
from foresail.emulate.performance import PerformanceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """One emulated engine. The defaults are vLLM's, except where a comment says otherwise."""

    row: PerformanceRow
    model_name: str
    max_model_tokens: int = 8192  # vLLM: what the model's config says
    max_sequence_count: int = 256
    max_step_tokens: int | None = None  # None: the row's
    kv_capacity_tokens: int | None = None  # None: the row's
    max_queued_requests: int | None = None  # waiting and running; None: no limit
    default_output_tokens: int = 128  # ours: of a chat answer without max_tokens, then it stops
    speed: float = 1.0  # ours: seconds of the engine per second of the clock
    start_seconds: float = 0.0  # ours: of the engine's time until it listens
    has_dev_mode: bool = False
    tracks_server_load: bool = False
    takes_faults: bool = False  # ours
    shutdown_timeout_seconds: float = 0.0  # of the clock; 0: requests in flight are aborted

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ConfigurationError(f"--speed is {self.speed:g}; give a number above 0")
        if self.max_model_tokens > self.capacity_tokens:
            raise ConfigurationError(
                f"--max-model-len {self.max_model_tokens} does not fit into the "
                f"{self.capacity_tokens} tokens of the KV cache; give a smaller one"
            )
        try:
            self.limits()
        except ValueError as error:
            raise ConfigurationError(f"{error}; see foresail emulate --help") from error

    @property
    def capacity_tokens(self) -> int:
        """What the KV cache holds."""
        return self.kv_capacity_tokens or self.row.kv_capacity_tokens

    @property
    def costs(self) -> StepCosts:
        """What steps cost while nothing is wrong."""
        return self.row.costs

    def limits(self) -> EngineLimits:
        """What fits into the engine at once. Raises ValueError when nothing would."""
        return EngineLimits(
            kv_capacity_tokens=self.capacity_tokens,
            max_sequence_count=self.max_sequence_count,
            max_step_tokens=self.max_step_tokens or self.row.max_step_tokens,
        )

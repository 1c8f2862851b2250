"""What one step of an engine costs, in whole picoseconds, and what fits into one step.

In: coefficients in milliseconds, as performance tables give them. Out: integers, so that sums over
thousands of steps are exact whichever way they are added up. First stage of the engine model.
"""

from dataclasses import dataclass, fields
from typing import Final

PICOSECONDS_PER_SECOND: Final = 10**12
_PICOSECONDS_PER_MILLISECOND: Final = 10**9


def picoseconds(seconds: float) -> int:
    """The nearest whole number of picoseconds."""
    return round(seconds * PICOSECONDS_PER_SECOND)


def seconds(amount_picoseconds: int) -> float:
    """Seconds, for the edge of the model."""
    return amount_picoseconds / PICOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCosts:
    """`max(floor, prefill_base + linear + quadratic) + per sequence + per context token`."""

    floor_picoseconds: int  # reading the weights and launching; no step is shorter
    prefill_base_picoseconds: int  # added when any prompt is computed
    prefill_token_picoseconds: int  # per prompt token in the step
    prefill_square_picoseconds: int  # per prompt token in the step and token of its prompt so far
    sequence_picoseconds: int  # per sequence that gets its next token
    context_token_picoseconds: int  # per token of context those sequences read

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) < 0:
                raise ValueError(f"{field.name} is {value}; a cost is 0 or more")
        if self.floor_picoseconds == 0:
            raise ValueError("floor_picoseconds is 0; a step takes time, give 1 or more")

    def prefill_picoseconds(self, *, tokens: int, square: int) -> int:
        """The part of a step that no decoding sequence adds to; `square` sums tokens x so far."""
        if tokens == 0:
            return self.floor_picoseconds
        computed = (
            self.prefill_base_picoseconds
            + self.prefill_token_picoseconds * tokens
            + self.prefill_square_picoseconds * square
        )
        return max(self.floor_picoseconds, computed)

    def scaled(self, factor: float) -> "StepCosts":
        """Every coefficient times `factor`: an engine that is slower (or quicker) throughout."""
        values = {field.name: round(getattr(self, field.name) * factor) for field in fields(self)}
        return StepCosts(**values | {"floor_picoseconds": max(1, values["floor_picoseconds"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class TabledCosts:
    """Coefficients in milliseconds, tokens in thousands, as performance tables give them."""

    floor: float
    prefill_base: float
    prefill: float
    prefill_squared: float
    sequence: float
    context: float

    def exact(self) -> StepCosts:
        """The same in whole picoseconds per token. Raises ValueError on a negative one."""
        per_thousand = _PICOSECONDS_PER_MILLISECOND // 1000
        return StepCosts(
            floor_picoseconds=round(self.floor * _PICOSECONDS_PER_MILLISECOND),
            prefill_base_picoseconds=round(self.prefill_base * _PICOSECONDS_PER_MILLISECOND),
            prefill_token_picoseconds=round(self.prefill * per_thousand),
            prefill_square_picoseconds=round(self.prefill_squared * per_thousand / 1000),
            sequence_picoseconds=round(self.sequence * _PICOSECONDS_PER_MILLISECOND),
            context_token_picoseconds=round(self.context * per_thousand),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What fits at once."""

    kv_capacity_tokens: int
    max_sequence_count: int  # vLLM's max_num_seqs
    max_step_tokens: int  # vLLM's max_num_batched_tokens

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) < 1:
                raise ValueError(f"{field.name} is {value}; at least 1 is needed")
        if self.max_sequence_count > self.max_step_tokens:
            raise ValueError(
                f"max_sequence_count is {self.max_sequence_count}, above max_step_tokens "
                f"{self.max_step_tokens}; each sequence takes a token of a step"
            )

"""What enters and leaves the engine model: requests, completions, runs of steps.

Times are whole picoseconds on the caller's own time line. Tuples instead of dataclasses: a replay
makes hundreds of thousands of them a second.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class EndReason(StrEnum):
    """Why a request left the engine."""

    DONE = "done"  # all its output tokens were made
    CANCELLED = "cancelled"  # the caller took it back


class Request(NamedTuple):
    """Work to be done."""

    number: int  # the caller's own; unique among requests in the engine
    prompt_tokens: int  # 1 or more
    output_tokens: int  # 1 or more


class Completion(NamedTuple):
    """A request that left the engine."""

    number: int
    prompt_tokens: int
    output_tokens: int  # made until then
    arrival_picoseconds: int
    admitted_picoseconds: int | None  # first scheduled; None: it only ever waited
    first_token_picoseconds: int | None  # None: none was made
    finished_picoseconds: int
    preemption_count: int
    reason: EndReason


class StepRun(NamedTuple):
    """Steps in a row with the same sequences; the n-th (from 0) took first + n x growth."""

    step_count: int
    first_step_picoseconds: int
    growth_picoseconds: int
    decoding_count: int  # sequences that each got a token, later than their first, in every step
    prefill_tokens: int  # prompt tokens computed in every step; above 0 only in runs of one step


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is in the engine now."""

    running_count: int
    waiting_count: int
    kv_used_tokens: int
    preemption_count: int  # since the start

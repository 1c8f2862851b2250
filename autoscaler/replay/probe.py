"""What a start-up probe would find out about a simulated engine: cost per token with all slots busy.

In: the engine's costs and limits. Out: a capacity prior as the live probe (`actuators.probe`) gives it.
Runs the same two mixes on the exact engine model. Pure.
"""

from typing import Final

from autoscaler.engine_model.costs import EngineLimits, StepCosts, seconds
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import Request
from collector.model.catalogue import CapacityPrior

_PROMPT_MIX: Final = (150, 2)
_ANSWER_MIX: Final = (1, 32)


def probe_costs(costs: StepCosts, *, limits: EngineLimits) -> CapacityPrior:
    """Replica-seconds per prompt and per output token, solved from two mixes on all slots."""
    slots = min(limits.max_sequence_count, limits.kv_capacity_tokens // (sum(_PROMPT_MIX) + 1), 256)
    first = _run_seconds(costs, limits=limits, slots=max(1, slots), mix=_PROMPT_MIX)
    second = _run_seconds(costs, limits=limits, slots=max(1, slots), mix=_ANSWER_MIX)
    (prompt_a, output_a), (prompt_b, output_b) = (
        (max(1, slots) * mix[0], max(1, slots) * mix[1]) for mix in (_PROMPT_MIX, _ANSWER_MIX)
    )
    determinant = prompt_a * output_b - prompt_b * output_a
    prompt = (first * output_b - second * output_a) / determinant
    output = (prompt_a * second - prompt_b * first) / determinant
    return CapacityPrior(
        prompt_seconds_per_token=max(0.0, prompt), output_seconds_per_token=max(1e-9, output)
    )


def _run_seconds(
    costs: StepCosts, *, limits: EngineLimits, slots: int, mix: tuple[int, int]
) -> float:
    engine = EngineModel(costs=costs, limits=limits)
    for number in range(slots):
        engine.submit(Request(number, *mix), at=0)
    while (boundary := engine.next_boundary()) is not None:
        engine.advance(boundary + 1)
    return seconds(max(each.finished_picoseconds for each in engine.take_completions()))

"""What a unit sustains: the least of what its roles do, each engine doing only its part. Pure.

In: a variant with roles, and what was learned of each role's engines. Out: a `UnitCapacity`, and how well
the ratio of the roles fits a demand. The counterpart of `estimate` for engines that divide requests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.capacity.estimate import estimate_capacity
from autoscaler.capacity.objectives import MAX_USABLE_RATIO
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Rates
from autoscaler.model.state import VariantState
from autoscaler.model.unit_capacity import RoleCapacity, UnitCapacity
from collector.model.catalogue import CapacityPrior, Objective, Sli, Variant
from collector.model.roles import EngineRole, RoleEngines

LATENCY_OF: Mapping[EngineRole, Sli] = {
    EngineRole.PREFILL: Sli.TIME_TO_FIRST_TOKEN,
    EngineRole.DECODE: Sli.INTER_TOKEN_LATENCY,
}
"""The latency that each role answers for."""

MIN_PREFILL_RATIO = 0.25
"""Of a prefill engine's time that counts as usable at least: an objective that long prompts miss by
themselves is not met by ever more engines."""

RoleStates = Mapping[EngineRole, VariantState]


def engine_variant(variant: Variant, engines: RoleEngines) -> Variant:
    """One engine of a role as a variant of its own, which computes only its part."""
    cost, is_prefill = engines.seconds_per_token, engines.role is EngineRole.PREFILL
    prior = None
    if cost is not None:
        prior = CapacityPrior(
            prompt_seconds_per_token=cost if is_prefill else 0.0,
            output_seconds_per_token=0.0 if is_prefill else cost,
        )
    return replace(
        variant,
        roles=(),
        memory_bytes=engines.memory_bytes,
        slots=engines.slots,
        capacity_prior=prior,
    )


def unit_capacity(
    variant: Variant,
    *,
    states: RoleStates,
    objectives: tuple[Objective, ...],
    prompt_tokens_per_request: float | None,
) -> UnitCapacity | None:
    """The capacity of one unit; None while a token of either role has no known cost.

    `prompt_tokens_per_request` None: the wait for the first token does not narrow what prefill sustains.
    """
    roles = [
        _role_capacity(
            variant,
            engines,
            state=states.get(engines.role, VariantState()),
            objectives=objectives,
            prompt_tokens=prompt_tokens_per_request,
        )
        for engines in variant.roles
    ]
    known = tuple(each for each in roles if each is not None)
    if len(known) < len(roles):
        return None
    return UnitCapacity(
        prompt_seconds_per_token=sum(e.engine.prompt_seconds_per_token / e.ratio for e in known),
        output_seconds_per_token=sum(e.engine.output_seconds_per_token / e.ratio for e in known),
        low_ratio=min(each.engine.low_ratio for each in known),
        high_ratio=min(each.engine.high_ratio for each in known),
        sample_count=min(each.engine.sample_count for each in known),
        roles=known,
    )


def _role_capacity(
    variant: Variant,
    engines: RoleEngines,
    *,
    state: VariantState,
    objectives: tuple[Objective, ...],
    prompt_tokens: float | None,
) -> RoleCapacity | None:
    own = tuple(each for each in objectives if each.sli is LATENCY_OF[engines.role])
    alone = engine_variant(variant, engines)
    engine = estimate_capacity(alone, state=state, objectives=own)
    if engine is not None and engines.role is EngineRole.PREFILL and prompt_tokens is not None:
        seconds = prompt_tokens * engine.prompt_seconds_per_token / engine.low_ratio
        engine = _within(engine, prefill_usable_ratio(seconds, objectives=own))
    if engine is None:
        return None
    return RoleCapacity(role=engines.role, ratio=engines.ratio, engine=engine)


def _within(engine: Capacity, usable_ratio: float) -> Capacity:
    return replace(
        engine,
        low_ratio=engine.low_ratio * usable_ratio,
        high_ratio=engine.high_ratio * usable_ratio,
    )


def prefill_usable_ratio(prompt_seconds: float, *, objectives: tuple[Objective, ...]) -> float:
    """How busy a prefill engine may be for first tokens to come in time, 0.25..0.95.

    `prompt_seconds` is the time of one mean prompt. Prompts arrive by chance and their lengths vary about
    as much as their mean: then the time from arrival to the first token is exponential, with the mean
    prompt_seconds / (1 - busy). Source: M/M/1, e.g. Kleinrock, Queueing Systems I (1975), section 3.2.
    """
    usable = MAX_USABLE_RATIO
    for each in objectives:
        if each.threshold_seconds is not None:
            means = math.log(1.0 / (1.0 - each.target_ratio))
            usable = min(usable, 1.0 - prompt_seconds * means / each.threshold_seconds)
    return max(MIN_PREFILL_RATIO, usable)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleShare:
    """What one role of a unit has to do with a demand."""

    role: EngineRole
    ratio: int  # engines of it in a unit
    sustained_requests_per_second: float  # of the unit, as far as this role goes
    used_ratio: float  # of what it sustains, when the unit carries all it can; 1: it binds


def role_shares(capacity: UnitCapacity, *, rates: Rates) -> tuple[RoleShare, ...]:
    """The roles in declared order, for this mix of tokens; empty where nothing is asked of a role, or the
    demand is no number."""
    loads = [each.load(rates) for each in capacity.roles]
    if rates.requests_per_second <= 0 or not all(0 < each < math.inf for each in loads):
        return ()
    return tuple(
        RoleShare(
            role=each.role,
            ratio=each.ratio,
            sustained_requests_per_second=rates.requests_per_second / load,
            used_ratio=load / max(loads),
        )
        for each, load in zip(capacity.roles, loads, strict=True)
    )

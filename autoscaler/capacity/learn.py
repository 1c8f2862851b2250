"""Turns consecutive engine counters into capacity samples. Pure.

Per serving replica a run is kept for as long as its condition (near saturation or not) lasts; a run
that is long enough becomes a sample or raises the lower bound, and a new run begins.
"""

from dataclasses import dataclass, replace

from autoscaler.capacity.estimate import prior_costs
from autoscaler.model.state import VariantState, WorkSample, bounded
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.reading import Fresh, fresh_value
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView

BUSY_SLOTS_RATIO = 0.7
"""Slots in use from which a replica counts as near saturation."""
RUN_SECONDS_PER_LEVEL_WINDOW = 0.5
"""A sample needs half a level window of the same condition: long enough for token counters, which
some engines raise only at the end of a request."""

MAX_COUNTER = 1e18
"""Tokens one engine can have counted; above it a counter is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What one tick taught about one replica."""

    sample: WorkSample | None  # None: forget the replica (not serving, or not read)
    variant: VariantState


def learn(
    view: ReplicaView,
    *,
    variant: Variant,
    variant_state: VariantState,
    previous: WorkSample | None,
    run_seconds: float,
) -> Learned:
    """The replica's running sample and its variant's state after this snapshot.

    `run_seconds` is the length of a run that counts.
    """
    now = observed(view, variant=variant)
    costs = prior_costs(variant, state=variant_state)
    if now is None or previous is None or costs is None or _restarted(previous, now):
        return Learned(sample=now, variant=variant_state)
    if now.observed_timestamp_seconds <= previous.observed_timestamp_seconds:
        return Learned(sample=previous, variant=variant_state)
    run = _extended(previous, now)
    if run.run_seconds < run_seconds:
        return Learned(sample=run, variant=variant_state)
    return Learned(sample=now, variant=_sampled(run, costs=costs, variant_state=variant_state))


def observed(view: ReplicaView, *, variant: Variant) -> WorkSample | None:
    """The start of a run from one view; None unless it serves and all its counters are fresh."""
    running, waiting = fresh_value(view.running_requests), fresh_value(view.waiting_requests)
    prompt, output = view.prompt_tokens_total, fresh_value(view.output_tokens_total)
    if view.replica.state is not ReplicaState.SERVING or not isinstance(prompt, Fresh):
        return None
    if running is None or waiting is None or output is None:
        return None
    if not (0.0 <= prompt.value <= MAX_COUNTER and 0.0 <= output <= MAX_COUNTER):
        return None
    return WorkSample(
        observed_timestamp_seconds=prompt.observed_timestamp_seconds,
        prompt_tokens_total=prompt.value,
        output_tokens_total=output,
        is_saturated=waiting > 0 or running >= BUSY_SLOTS_RATIO * variant.slots,
        kv_use_ratio=_kv_use(view),
    )


def _kv_use(view: ReplicaView) -> float | None:
    use = fresh_value(view.engine.kv_use_ratio)
    return use if use is not None and 0.0 <= use <= 1.0 else None


def _restarted(previous: WorkSample, now: WorkSample) -> bool:
    return (
        now.prompt_tokens_total < previous.prompt_tokens_total
        or now.output_tokens_total < previous.output_tokens_total
    )


def _extended(previous: WorkSample, now: WorkSample) -> WorkSample:
    """The run with one more step; a change of condition starts it anew."""
    if previous.is_saturated != now.is_saturated:
        return now
    return replace(
        now,
        run_seconds=previous.run_seconds
        + now.observed_timestamp_seconds
        - previous.observed_timestamp_seconds,
        run_prompt_tokens=previous.run_prompt_tokens
        + now.prompt_tokens_total
        - previous.prompt_tokens_total,
        run_output_tokens=previous.run_output_tokens
        + now.output_tokens_total
        - previous.output_tokens_total,
    )


def _sampled(run: WorkSample, *, costs: CapacityPrior, variant_state: VariantState) -> VariantState:
    prompt = run.run_prompt_tokens * costs.prompt_seconds_per_token
    work = (prompt + run.run_output_tokens * costs.output_seconds_per_token) / run.run_seconds
    if run.is_saturated and work <= 0:  # stalled, not slow: says nothing of what it can do
        return variant_state
    if run.is_saturated:
        ratios = bounded(variant_state.saturated_work_ratios, work)
        return replace(variant_state, saturated_work_ratios=ratios)
    bounds = bounded(variant_state.unsaturated_work_ratios, work)
    return replace(variant_state, unsaturated_work_ratios=bounds)

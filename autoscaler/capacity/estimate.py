"""From a prior and measured samples to an interval. Pure.

A sample is the work per second that a busy replica did, in units of the prior (1 = as promised).
Only busy replicas say what they can do; an idle one proves no more than what it just did.
"""

from autoscaler.capacity.objectives import MIN_USABLE_RATIO, usable_ratio
from autoscaler.capacity.samples import sample_quantile, without_outliers
from autoscaler.capacity.steps import StepTimes, step_times
from autoscaler.model.capacity import Capacity
from autoscaler.model.state import VariantState
from collector.model.catalogue import CapacityPrior, Objective, Variant

PRIOR_LOW_RATIO = 0.8
PRIOR_HIGH_RATIO = 1.2
"""How far a declared or probed cost may be off; a probe of seconds repeats within about 20 %."""
PRIOR_WEIGHT_SAMPLES = 3.0
MAX_DEVIATIONS = 3.5
"""Source: Iglewicz and Hoaglin (1993), modified z-score for outliers."""


def estimate_capacity(
    variant: Variant, *, state: VariantState, objectives: tuple[Objective, ...]
) -> Capacity | None:
    """The capacity of one replica; None while a token has no known cost.

    Measured step times win over a prior: they say how much work the objectives allow.
    """
    times = step_times(state.step_fit)
    if times is None:
        return prior_capacity(variant, state=state)
    limit = usable_ratio(times, objectives=objectives)
    if limit <= MIN_USABLE_RATIO:  # the fit says that no load at all would do: the fit is in doubt
        return prior_capacity(variant, state=state)
    return capacity_of(times, variant=variant, limit=limit, rows=state.step_fit.rows)


def capacity_of(times: StepTimes, *, variant: Variant, limit: float, rows: float) -> Capacity:
    """The capacity of a replica with these step times that may be busy for `limit` of its time."""
    full_batch = times.output_seconds_per_token + times.floor_seconds / _batch_limit(
        times, slots=variant.slots
    )
    return Capacity(
        prompt_seconds_per_token=times.prompt_seconds_per_token,
        output_seconds_per_token=max(times.output_seconds_per_token, limit * full_batch),
        low_ratio=limit,
        high_ratio=max(limit, 1.0),
        sample_count=round(rows),
    )


def _batch_limit(times: StepTimes, *, slots: int) -> float:
    """Sequences that fit in a batch: its slots, or fewer where the KV cache is full before."""
    if times.kv_ratio_per_sequence <= 0:
        return slots
    return max(1.0, min(slots, 1.0 / times.kv_ratio_per_sequence))


def prior_costs(variant: Variant, *, state: VariantState) -> CapacityPrior | None:
    """What a token was declared or probed to cost."""
    return state.probed_capacity or variant.capacity_prior


def prior_capacity(variant: Variant, *, state: VariantState) -> Capacity | None:
    """From the declared or probed costs and what busy replicas did; None without such costs."""
    prior = prior_costs(variant, state=state)
    if prior is None:
        return None
    low, high, count = _interval(state.saturated_work_ratios)
    proven = _proven(state.unsaturated_work_ratios)
    return Capacity(
        prompt_seconds_per_token=prior.prompt_seconds_per_token,
        output_seconds_per_token=prior.output_seconds_per_token,
        low_ratio=max(low, proven),
        high_ratio=max(high, low, proven),
        sample_count=count,
    )


def _interval(samples: tuple[float, ...]) -> tuple[float, float, int]:
    inliers = without_outliers(samples, max_deviations=MAX_DEVIATIONS)
    if not inliers:
        return PRIOR_LOW_RATIO, PRIOR_HIGH_RATIO, 0
    weight = len(inliers) / (len(inliers) + PRIOR_WEIGHT_SAMPLES)
    low, high = sample_quantile(inliers, 0.2), sample_quantile(inliers, 0.8)
    return (
        weight * low + (1 - weight) * PRIOR_LOW_RATIO,
        weight * high + (1 - weight) * PRIOR_HIGH_RATIO,
        len(inliers),
    )


def _proven(samples: tuple[float, ...]) -> float:
    """Work that was done without being busy; one extraordinary sample proves nothing."""
    return sample_quantile(samples, 0.9) if len(samples) >= 3 else 0.0

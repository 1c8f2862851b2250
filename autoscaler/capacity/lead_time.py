"""How long a start takes, and what a replica holds, from what was measured. Pure."""

from autoscaler.capacity.samples import sample_quantile
from autoscaler.model.state import VariantState
from collector.model.catalogue import ProcessTarget, Variant

UNMEASURED_LEAD_TIME_SECONDS = 60.0
"""Until the first start was measured. Source: cold loads of 8-70 B models take 30-100 s in the
vLLM sleep-mode report (2025)."""
FOOTPRINT_MARGIN_RATIO = 1.1
"""On the largest footprint seen: caches grow with use."""


def lead_time_seconds(variant: Variant, *, state: VariantState) -> float:
    """P90 from the decision to the first useful token; 0 where a clock that went back says less."""
    if state.lead_time_seconds:
        return max(0.0, sample_quantile(state.lead_time_seconds, 0.9))
    if isinstance(variant.target, ProcessTarget):
        return min(UNMEASURED_LEAD_TIME_SECONDS, variant.target.startup_timeout_seconds)
    return UNMEASURED_LEAD_TIME_SECONDS


def footprint_bytes(variant: Variant, *, state: VariantState) -> int:
    """What one more replica must be expected to hold: as measured once measured, else as declared.

    The margin does not reach beyond what was declared: a replica that keeps its word could otherwise
    not be started again in a pool that was cut for it.
    """
    if variant.roles or not state.footprint_bytes:  # of a unit, what was measured was of one engine
        return variant.memory_bytes
    largest = max(state.footprint_bytes)
    return max(largest, min(int(largest * FOOTPRINT_MARGIN_RATIO), variant.memory_bytes))

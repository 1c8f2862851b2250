"""What an output token costs beside a prompt token, as far as it is known. Pure."""

from autoscaler.capacity.steps import step_times
from autoscaler.forecast.demand import OUTPUT_WEIGHT
from autoscaler.model.state import ControllerState, VariantState
from collector.model.catalogue import Service, Variant

MAX_WEIGHT = 1e4


def output_weight(service: Service, *, state: ControllerState) -> float:
    """Prompt tokens' work per output token, of the first variant that tells; else OUTPUT_WEIGHT."""
    for variant in service.variants:
        weight = _weight(variant, state=state.variant(service.name, variant.name))
        if weight is not None:
            return weight
    return OUTPUT_WEIGHT


def _weight(variant: Variant, *, state: VariantState) -> float | None:
    times = step_times(state.step_fit)
    if times is not None and times.prompt_seconds_per_token > 0:
        return min(times.output_seconds_per_token / times.prompt_seconds_per_token, MAX_WEIGHT)
    prior = state.probed_capacity or variant.capacity_prior
    if prior is not None and prior.prompt_seconds_per_token > 0:
        return min(prior.output_seconds_per_token / prior.prompt_seconds_per_token, MAX_WEIGHT)
    return None

"""Admitted demand of one service, from history and what is known about its requests. Pure."""

import numpy as np

from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import ServiceState
from collector.model.history import History, Signal
from collector.model.ids import ServiceName

MIN_COMPLETED_REQUESTS = 5.0
"""Fewer completions than this say little about the mean length; the remembered one is kept."""

OUTPUT_WEIGHT = 4.0
"""Prompt tokens' work per output token until both costs are known."""
MAX_TOKENS_PER_REQUEST = 1e9
"""No request is as long; keeps a nonsensical counter a number."""


def demand_series(
    history: History,
    *,
    service: ServiceName,
    state: ServiceState,
    window_seconds: float,
    output_weight: float = OUTPUT_WEIGHT,
) -> DemandSeries:
    """Arrivals per bin and the tokens they bring; empty arrays for a service without history.

    Output tokens are arrivals times the mean output length: what running requests have produced so
    far says how fast the replicas are, not how much was asked of them. `output_weight` says how many
    prompt tokens' work an output token is.
    """
    requests, covered = history.rates(
        Signal.ARRIVED_REQUESTS, service, window_seconds=window_seconds
    )
    prompt, prompt_covered = history.rates(
        Signal.ADMITTED_PROMPT_TOKENS, service, window_seconds=window_seconds
    )
    output = requests * (state.output_tokens_per_request or 0.0)
    return DemandSeries(
        bin_seconds=history.bin_seconds,
        requests_per_second=requests,
        prompt_tokens_per_second=prompt,
        output_tokens_per_second=output,
        covered_seconds=np.minimum(covered, prompt_covered),
        work=prompt + output_weight * output,
    )


def mean_lengths(
    history: History, *, service: ServiceName, window_seconds: float, state: ServiceState
) -> tuple[float | None, float | None]:
    """(prompt, output) tokens per request over the window, else what is remembered; None if neither."""
    completed = _total(history, Signal.COMPLETED_REQUESTS, service, window_seconds)
    arrived = _total(history, Signal.ARRIVED_REQUESTS, service, window_seconds)
    prompt, output = state.prompt_tokens_per_request, state.output_tokens_per_request
    if arrived >= MIN_COMPLETED_REQUESTS:
        prompt = _total(history, Signal.ADMITTED_PROMPT_TOKENS, service, window_seconds) / arrived
        prompt = min(prompt, MAX_TOKENS_PER_REQUEST)
    if completed >= MIN_COMPLETED_REQUESTS:
        output = _total(history, Signal.OUTPUT_TOKENS, service, window_seconds) / completed
        output = min(output, MAX_TOKENS_PER_REQUEST)
    return prompt, output


def _total(history: History, signal: Signal, service: ServiceName, window_seconds: float) -> float:
    rates, covered = history.rates(signal, service, window_seconds=window_seconds)
    return float((rates * covered).sum())

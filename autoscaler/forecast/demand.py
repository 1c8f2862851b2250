"""Admitted demand of one service, from history and what is known about its requests. Pure."""

import numpy as np
import numpy.typing as npt

from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import ServiceState
from collector.model.history import FloatArray, History, Signal
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

    `output_weight` says how many prompt tokens' work an output token is.
    """
    requests, covered = history.rates(
        Signal.ARRIVED_REQUESTS, service, window_seconds=window_seconds
    )
    prompt, prompt_covered = history.rates(
        Signal.ADMITTED_PROMPT_TOKENS, service, window_seconds=window_seconds
    )
    output = _output_tokens(
        history,
        service=service,
        requests=requests,
        tokens_per_request=state.output_tokens_per_request or 0.0,
        window_seconds=window_seconds,
    )
    return DemandSeries(
        bin_seconds=history.bin_seconds,
        requests_per_second=requests,
        prompt_tokens_per_second=prompt,
        output_tokens_per_second=output,
        covered_seconds=np.minimum(covered, prompt_covered),
        work=prompt + output_weight * output,
    )


def _output_tokens(
    history: History,
    *,
    service: ServiceName,
    requests: FloatArray,
    tokens_per_request: float,
    window_seconds: float,
) -> FloatArray:
    """Output tokens asked for per second and bin. Shape (n_bins,), none below 0.

    What the engines produced, and for each request more in flight than a bin before what a request
    brings: production alone says how fast the replicas are, not how much was asked of them. A long
    answer so counts from its first second, not when it ends. In bins where either is not known,
    arrivals times the mean length.
    """
    by_arrivals = requests * tokens_per_request
    produced, is_told = _known(history, Signal.ENGINE_OUTPUT_TOKENS, service, window_seconds)
    pending, is_counted = _known(history, Signal.PENDING_REQUESTS, service, window_seconds)
    if not is_told.any():
        return by_arrivals
    more = np.diff(pending, prepend=pending[:1]) / history.bin_seconds
    is_known = is_told & is_counted
    is_known[1:] &= is_counted[:-1]
    asked = np.where(is_known, produced + more * tokens_per_request, by_arrivals)
    return _without_negatives(asked)


def _without_negatives(values: FloatArray) -> FloatArray:
    """What was put down too early is taken back from what follows, so that sums stay what they are.

    A request that ends takes its mean length back at once; where few are in flight, that is more than
    the others produced in that bin.
    """
    total = np.maximum.accumulate(np.cumsum(values))
    return np.diff(np.maximum(total, 0.0), prepend=0.0)


def _known(
    history: History, signal: Signal, service: ServiceName, window_seconds: float
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(rates, which bins are known)."""
    rates, covered = history.rates(signal, service, window_seconds=window_seconds)
    return rates, covered > 0


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

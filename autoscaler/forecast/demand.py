"""Admitted demand of one service, from history and what is known about its requests. Pure."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

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

UNSERVED: Final = (Signal.ABORTED_REQUESTS, Signal.FAILED_REQUESTS, Signal.SHED_REQUESTS)
"""Requests that arrived and ended without their answer."""
TINY: Final = 1e-12
MAX_TAKEN_BACK_SECONDS: Final = 300.0
"""No longer than the mean length is taken over, nor than a scale-in is held by default."""


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
    answer so counts from its first second, not when it ends. What ended without its answer was asked
    for all the same, less what they had got, which is what was produced and is in no whole answer: where
    replicas are too few, callers give up, and neither production nor what is in flight tells of them. In
    bins where either is not known, arrivals times the mean length.
    """
    by_arrivals = requests * tokens_per_request
    produced, is_told = _known(history, Signal.ENGINE_OUTPUT_TOKENS, service, window_seconds)
    pending, is_counted = _known(history, Signal.PENDING_REQUESTS, service, window_seconds)
    if not is_told.any():
        return by_arrivals
    more = np.diff(pending, prepend=pending[:1]) / history.bin_seconds
    is_known = is_told & is_counted
    is_known[1:] &= is_counted[:-1]
    lost = _lost_requests(history, service=service, window_seconds=window_seconds)
    if lost.any():
        answered, _ = history.rates(Signal.OUTPUT_TOKENS, service, window_seconds=window_seconds)
        got = (produced - answered)[is_known].sum() / max(lost[is_known].sum(), TINY)
        lost = lost * (tokens_per_request - np.clip(got, 0.0, tokens_per_request))
    asked = produced + more * tokens_per_request + lost
    return _without_negatives(
        np.where(is_known, asked, by_arrivals),
        most_bins=max(1, round(MAX_TAKEN_BACK_SECONDS / history.bin_seconds)),
    )


def _lost_requests(history: History, *, service: ServiceName, window_seconds: float) -> FloatArray:
    """Per second and bin, requests that ended without their answer. Shape (n_bins,)."""
    rates = [history.rates(each, service, window_seconds=window_seconds)[0] for each in UNSERVED]
    return np.asarray(np.sum(rates, axis=0))


def _without_negatives(values: FloatArray, *, most_bins: int) -> FloatArray:
    """What was put down too early is taken back from what follows, so that sums stay what they are.

    A request that ends takes its mean length back at once; where few are in flight, that is more than
    the others produced in that bin. After `most_bins` the rest is let be: short requests that once came
    at the same time must not hide for long what is asked for since.
    """
    sums = np.cumsum(values)
    highest = np.maximum(np.maximum.accumulate(sums), 0.0)
    if (highest[most_bins:] == highest[:-most_bins]).any():
        sums = np.concatenate((np.full(most_bins, -np.inf), (0.0,), sums))
        highest = sliding_window_view(sums, most_bins + 1).max(axis=1)[1:]
    return np.asarray(np.maximum(np.diff(highest, prepend=0.0), 0.0))


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

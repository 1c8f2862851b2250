"""The demand of now: its mean over the last window. Pure.

In: a service's demand series. Out: the level that a forecast starts from, and that the present
replicas are held against.
"""

from autoscaler.model.demand import DemandSeries, Rates
from collector.model.history import FloatArray


def level(series: DemandSeries, *, window_seconds: float) -> Rates | None:
    """Mean demand of the last `window_seconds`; None when nothing in it was measured."""
    count = max(1, round(window_seconds / series.bin_seconds))
    covered = series.covered_seconds[-count:]
    seconds = covered.sum()
    if seconds <= 0:
        return None

    def mean(values: FloatArray) -> float:
        return float((values[-count:] * covered).sum() / seconds)

    return Rates(
        requests_per_second=mean(series.requests_per_second),
        prompt_tokens_per_second=mean(series.prompt_tokens_per_second),
        output_tokens_per_second=mean(series.output_tokens_per_second),
    )

"""A service's demand by bin, with only its work said."""

from collections.abc import Sequence

import numpy as np

from autoscaler.model.demand import DemandSeries
from support.builders import BIN_SECONDS


def make_series(
    work: Sequence[float], *, covered_seconds: Sequence[float] | None = None
) -> DemandSeries:
    """Work per second by bin of 15 s; a hundredth of it are requests, all of it prompt tokens."""
    amounts = np.asarray(work, dtype=float)
    covered = [BIN_SECONDS] * len(amounts) if covered_seconds is None else covered_seconds
    return DemandSeries(
        bin_seconds=BIN_SECONDS,
        requests_per_second=amounts / 100.0,
        prompt_tokens_per_second=amounts,
        output_tokens_per_second=np.zeros(len(amounts)),
        covered_seconds=np.asarray(covered, dtype=float),
        work=amounts,
    )

"""A trace made k times as heavy without making it smoother in the large: copies laid on each other.

In: a workload, how many copies, a seed. Out: a workload. Copies but the first are shifted request by
request, so that bursts of seconds do not line up while the shape over minutes stays. Pure.
"""

from typing import Final

import numpy as np

from autoscaler.replay.workload import Workload

SHIFT_SECONDS: Final = 20.0
"""Standard deviation of the shift of each request."""


def superposed(workload: Workload, *, copies: int, seed: int) -> Workload:
    """`copies` times the requests, in order of arrival, within the same stretch of time."""
    if copies == 1 or not len(workload):
        return workload
    random = np.random.default_rng(seed)
    shifts = random.normal(0.0, SHIFT_SECONDS, (copies - 1, len(workload)))
    shifted = np.abs(workload.arrival_seconds + shifts).ravel()
    # What a shift would carry past either end is turned back into the trace.
    end = workload.end_seconds
    shifted = np.abs(np.where(shifted > end, 2 * end - shifted, shifted))
    arrivals = np.concatenate((workload.arrival_seconds, shifted))
    order = np.argsort(arrivals, kind="stable")
    return Workload(
        arrival_seconds=arrivals[order],
        prompt_tokens=np.tile(workload.prompt_tokens, copies)[order],
        output_tokens=np.tile(workload.output_tokens, copies)[order],
    )

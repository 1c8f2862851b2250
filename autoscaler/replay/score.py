"""What a replay came to: attainment of the objectives, hours of accelerators, changes. Pure.

A miss is a request that was late for either objective, or was shed, failed, refused or not finished
when the replay ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoscaler.replay.fleet import Life
from autoscaler.replay.service_plant import RequestStatus
from autoscaler.replay.view import Objectives, Setting
from autoscaler.replay.workload import FloatArray, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What became of every request. Shapes: (n_requests,)."""

    workload: Workload
    status: np.ndarray[tuple[int], np.dtype[np.int8]]  # RequestStatus
    first_token_seconds: FloatArray  # from arrival; nan without one
    output_token_seconds: FloatArray  # mean after the first; nan unless done


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One policy over one window."""

    offered_requests: int
    served_requests: int
    shed_requests: int
    failed_requests: int  # refused ones included
    unfinished_requests: int
    attainment_ratio: float  # of those offered; 1 when none was
    time_to_first_token_good_ratio: float
    output_token_good_ratio: float
    gpu_hours: float  # from order to drained end
    changes: int  # replicas ordered or taken back


def score(
    served: Served,
    *,
    lives: Sequence[Life],
    change_seconds: Sequence[float],
    setting: Setting,
    window_seconds: tuple[float, float],
) -> Score:
    """The score of requests that arrive, and hours that pass, within the window [start, end)."""
    start_seconds, end_seconds = window_seconds
    edges = np.searchsorted(served.workload.arrival_seconds, window_seconds)
    first, last = int(edges[0]), int(edges[1])
    status = served.status[first:last]
    quick, steady = _good(served, slice(first, last), objectives=setting.objectives)
    done = status == RequestStatus.DONE
    offered = last - first
    counts = {each: int((status == each).sum()) for each in RequestStatus}
    hours = sum(life.hours(start_seconds, end_seconds) for life in lives)
    return Score(
        offered_requests=offered,
        served_requests=counts[RequestStatus.DONE],
        shed_requests=counts[RequestStatus.SHED],
        failed_requests=counts[RequestStatus.FAILED] + counts[RequestStatus.REJECTED],
        unfinished_requests=counts[RequestStatus.PENDING],
        attainment_ratio=_share(quick & steady & done, offered),
        time_to_first_token_good_ratio=_share(quick & done, offered),
        output_token_good_ratio=_share(steady & done, offered),
        gpu_hours=hours * setting.gpus_per_replica,
        changes=sum(start_seconds <= each < end_seconds for each in change_seconds),
    )


def _good(
    served: Served, window: slice, *, objectives: Objectives
) -> tuple[np.ndarray, np.ndarray]:
    quick = served.first_token_seconds[window] <= objectives.time_to_first_token_seconds
    steady = served.output_token_seconds[window] <= objectives.output_token_seconds
    return quick, steady


def _share(good: np.ndarray, offered: int) -> float:
    return float(good.sum()) / offered if offered else 1.0

"""How one service of a replay has done so far: counts that only grow, while the replay still runs.

In: a plant now and again. Out: `Tally`. Looks at each request until its fate is known and never again, so
that a live page may ask often. The score of a whole replay is in `score`, and comes to the same.
"""

from dataclasses import dataclass

import numpy as np

from autoscaler.replay.service_plant import Outcomes, RequestStatus, ServicePlant
from autoscaler.replay.view import Objectives
from autoscaler.replay.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Requests so far."""

    offered_requests: int  # arrived
    judged_requests: int  # ended, or too late for a first token already
    good_requests: int  # of those judged: within both objectives

    @property
    def attainment_ratio(self) -> float | None:
        """Of those judged; None before the first."""
        return self.good_requests / self.judged_requests if self.judged_requests else None


class Counter:
    """Of one service, look after look."""

    def __init__(self, plant: ServicePlant, *, workload: Workload, objectives: Objectives) -> None:
        self._plant = plant
        self._workload = workload
        self._objectives = objectives
        self._settled = 0  # all before it have ended
        self._good = 0  # of those

    def count(self, now_seconds: float) -> Tally:
        """As of now, which is where the plant has been advanced to."""
        first, last = self._settled, self._plant.arrived_requests
        rows = self._plant.outcomes(first, last)
        arrival = self._workload.arrival_seconds[first:last]
        good = self._is_good(rows, first=first, last=last)
        open_ = rows.status == RequestStatus.PENDING
        # A first token that is not made yet will be made now at the earliest.
        first_token = np.nan_to_num(rows.first_token_seconds, nan=now_seconds)
        late = first_token - arrival > self._objectives.time_to_first_token_seconds
        tally = Tally(
            offered_requests=last,
            judged_requests=first + int((~open_ | late).sum()),
            good_requests=self._good + int(good.sum()),
        )
        self._settle(open_, good=good)
        return tally

    def _is_good(self, rows: Outcomes, *, first: int, last: int) -> np.ndarray:
        first_token = rows.first_token_seconds - self._workload.arrival_seconds[first:last]
        later = self._workload.output_tokens[first:last] - 1
        spent = rows.finished_seconds - rows.first_token_seconds
        mean = np.divide(spent, later, out=np.zeros_like(spent), where=later > 0)
        objectives = self._objectives
        quick = first_token <= objectives.time_to_first_token_seconds
        steady = mean <= objectives.output_token_seconds
        is_good: np.ndarray = quick & steady & (rows.status == RequestStatus.DONE)
        return is_good

    def _settle(self, open_: np.ndarray, *, good: np.ndarray) -> None:
        ended = int(np.argmax(open_)) if open_.any() else len(open_)
        self._settled += ended
        self._good += int(good[:ended].sum())

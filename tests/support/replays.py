"""Workloads and settings for replays in tests: tiny ones to count by hand, and one that is like real."""

from collections.abc import Sequence

import numpy as np

from autoscaler.engine_model.costs import EngineLimits, StepCosts, TabledCosts
from autoscaler.replay.score import Score
from autoscaler.replay.view import FleetView, Objectives, Setting
from autoscaler.replay.workload import Workload

STEP_SECONDS = 10**12  # picoseconds: every step takes one second, whatever is in it
COUNTABLE = StepCosts(
    floor_picoseconds=STEP_SECONDS,
    prefill_base_picoseconds=0,
    prefill_token_picoseconds=0,
    prefill_square_picoseconds=0,
    sequence_picoseconds=0,
    context_token_picoseconds=0,
)
TABLED = TabledCosts(
    floor=40.0,
    sequence=0.2,
    context=0.4,
    prefill_base=20.0,
    prefill=250.0,
    prefill_squared=2.0,
).exact()
"""A large model on a few accelerators: some requests per second each."""


def is_conserved(score: Score) -> bool:
    """offered = served + shed + failed + unfinished."""
    outcomes = score.served_requests + score.shed_requests + score.failed_requests
    return score.offered_requests == outcomes + score.unfinished_requests


def make_workload(*requests: tuple[float, int, int]) -> Workload:
    """Requests as (arrival seconds, prompt tokens, output tokens)."""
    columns: Sequence[Sequence[float]] = list(zip(*requests, strict=True)) or [(), (), ()]
    return Workload(
        arrival_seconds=np.array(columns[0], np.float64),
        prompt_tokens=np.array(columns[1], np.int64),
        output_tokens=np.array(columns[2], np.int64),
    )


def make_setting(
    *,
    costs: StepCosts = COUNTABLE,
    provision_seconds: float = 30.0,
    max_replicas: int = 8,
    min_replicas: int = 1,
    gpus_per_replica: int = 1,
) -> Setting:
    """Engines of one step per second, first tokens within 5 s, unless told otherwise."""
    is_countable = costs is COUNTABLE
    return Setting(
        costs=costs,
        limits=EngineLimits(
            kv_capacity_tokens=100 if is_countable else 60_000,
            max_sequence_count=4 if is_countable else 64,
            max_step_tokens=50 if is_countable else 2048,
        ),
        objectives=Objectives(
            time_to_first_token_seconds=5.0 if is_countable else 2.0,
            output_token_seconds=2.0 if is_countable else 0.2,
            target_ratio=0.95,
        ),
        provision_seconds=provision_seconds,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        gpus_per_replica=gpus_per_replica,
    )


def rising_and_falling(*, hours: float, seed: int, low: float = 3.0, high: float = 8.0) -> Workload:
    """Arrivals that swell and ebb every two hours and vary by the minute; lengths with a tail."""
    random = np.random.default_rng(seed)
    minutes = np.arange(round(hours * 60))
    wave = low + (high - low) * (1 - np.cos(2 * np.pi * minutes / 120)) / 2
    noisy = wave * random.lognormal(-0.01, 0.15, len(minutes))
    counts = random.poisson(noisy * 60)
    arrivals = np.sort(np.repeat(minutes * 60.0, counts) + random.uniform(0, 60, counts.sum()))

    def lengths(
        median: float, sigma: float, *, most: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        drawn = random.lognormal(np.log(median), sigma, len(arrivals))
        return np.clip(np.rint(drawn), 1, most).astype(np.int64)

    return Workload(
        arrival_seconds=arrivals,
        prompt_tokens=lengths(400, 0.8, most=4000),
        output_tokens=lengths(60, 0.8, most=600),
    )


class Script:
    """A policy that wants what it was told to want from a time on, and remembers what it saw."""

    def __init__(self, *orders: tuple[float, int], interval_seconds: float = 10.0) -> None:
        self._orders = orders
        self.interval_seconds = interval_seconds
        self.views: list[FleetView] = []

    def desired_replicas(self, view: FleetView) -> int:
        """The last order whose time has come; what is there before the first."""
        self.views.append(view)
        now = len(self.views) * self.interval_seconds  # whatever the clock shows
        due = [count for since, count in self._orders if since <= now]
        return due[-1] if due else view.ordered_replicas

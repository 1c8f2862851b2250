"""One policy over time: demand, what it ordered, what was ready, and what it expected where it tells.

In: a replay of the table's rows, the problem. Out: SVG. Times are hours of the trace; long traces are
drawn by the largest order and the smallest ready count of each stretch, so that no peak is lost. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.replay.run import Change
from autoscaler.replay.workload import FloatArray
from foresail.backtest.cell import CellResult, Problem
from foresail.backtest.page.frame import Axis, Frame, Point, hour_ticks, round_ticks

WIDTH, HEIGHT = 760.0, 190.0
MAX_STRETCHES: Final = 700
MIN_STRETCH_SECONDS: Final = 60.0
HOUR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The stretches in which time is drawn."""

    start_seconds: float
    stretch_seconds: float
    count: int

    @property
    def edges(self) -> FloatArray:
        """(count + 1,) seconds of the trace."""
        places = np.arange(self.count + 1)
        return np.asarray(self.start_seconds + places * self.stretch_seconds, np.float64)

    @property
    def hours(self) -> list[float]:
        """(count,) where each begins, in hours of the trace."""
        found: list[float] = (self.edges[:-1] / HOUR_SECONDS).tolist()
        return found


def scored_grid(problem: Problem) -> Grid:
    """Over the scored days."""
    span = problem.end_seconds - problem.tuning_seconds
    stretch = max(MIN_STRETCH_SECONDS, span / MAX_STRETCHES)
    return Grid(
        start_seconds=problem.tuning_seconds,
        stretch_seconds=stretch,
        count=max(1, int(span / stretch)),
    )


def demand_replicas(problem: Problem, *, grid: Grid) -> FloatArray:
    """Replicas that the arrivals of each stretch take at their limit. Shape (count,)."""
    workload = problem.workload(0)
    work = problem.setup(0).work.per_request(workload)
    sums, _ = np.histogram(workload.arrival_seconds, bins=grid.edges, weights=work)
    return np.asarray(sums / grid.stretch_seconds, np.float64)


def timeline_picture(
    result: CellResult, *, demand: FloatArray, grid: Grid, most_replicas: float
) -> str:
    """Of one policy; `most_replicas` is the top of the axis, one for all pictures."""
    hours = grid.hours
    frame = Frame(
        width=WIDTH,
        height=HEIGHT,
        x=Axis(
            low=hours[0],
            high=hours[-1] + grid.stretch_seconds / HOUR_SECONDS,
            label="hours of the trace",
            ticks=hour_ticks(hours[0], hours[-1], count=10),
        ),
        y=Axis(
            low=0.0,
            high=most_replicas,
            label="replicas",
            ticks=round_ticks(0.0, most_replicas, count=4),
        ),
    )
    ordered, ready = counts(result.schedule, grid=grid)
    floor_line: list[Point] = [(hour, 0.0) for hour in hours]
    parts = [frame.band(floor_line, _line(hours, demand, most_replicas), kind="demand")]
    if result.expected:
        lower, upper = _expected(result, grid=grid)
        parts.append(
            frame.band(
                _line(hours, lower, most_replicas),
                _line(hours, upper, most_replicas),
                kind="expected",
            )
        )
    parts.append(frame.steps(_line(hours, ready, most_replicas), kind="ready"))
    parts.append(frame.steps(_line(hours, ordered, most_replicas), kind="ordered"))
    return frame.drawing(parts, title=f"Replicas over time under {result.cell.policy}")


def counts(schedule: Sequence[Change], *, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """(most ordered, fewest ready) of each stretch; 0 without any schedule."""
    if not schedule:
        return np.zeros(grid.count), np.zeros(grid.count)
    times = np.array([each.time_seconds for each in schedule])
    ordered = np.array([each.ordered_replicas for each in schedule], np.float64)
    ready = np.array([each.ready_replicas for each in schedule], np.float64)
    most, fewest = np.zeros(grid.count), np.zeros(grid.count)
    edges = grid.edges
    first = np.maximum(0, np.searchsorted(times, edges[:-1], side="right") - 1)
    last = np.maximum(first + 1, np.searchsorted(times, edges[1:], side="left"))
    for place, (begin, end) in enumerate(zip(first, last, strict=True)):
        most[place], fewest[place] = ordered[begin:end].max(), ready[begin:end].min()
    return most, fewest


def _expected(result: CellResult, *, grid: Grid) -> tuple[FloatArray, FloatArray]:
    """(now, upper) as it was said at the beginning of each stretch."""
    times = np.array([each.time_seconds for each in result.expected])
    places = np.minimum(np.searchsorted(times, grid.edges[:-1]), len(times) - 1)
    now = np.array([each.now_ratio for each in result.expected])
    upper = np.array([each.upper_ratio for each in result.expected])
    return now[places], upper[places]


def _line(hours: Sequence[float], values: FloatArray, most: float) -> list[Point]:
    return list(zip(hours, np.minimum(values, most).tolist(), strict=True))

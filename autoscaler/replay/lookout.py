"""What can be seen of a simulated fleet at one moment, through the faults of the replay.

In: the fleet, and which faults hold. Out: a `FleetView`. Asked by the runner before every decision. While
metrics are dark the last numbers stay and say how old they are; who was ordered, became ready or ended is
known all the same, because whoever starts replicas knows it without metrics.
"""

from dataclasses import replace

import numpy as np

from autoscaler.replay.faults import Faults
from autoscaler.replay.fleet import Fleet
from autoscaler.replay.view import FleetView
from autoscaler.replay.workload import FloatArray


class Lookout:
    """Looks again and again; remembers what it read last."""

    def __init__(self, fleet: Fleet, *, faults: Faults) -> None:
        self._fleet = fleet
        self._faults = faults
        self._last: FleetView | None = None

    def look(self) -> FleetView:
        """The fleet now. The very first look reads, whatever the faults say."""
        now = self._fleet.now_seconds
        if self._last is not None and self._faults.is_dark(now):
            return self._in_the_dark(self._last)
        self._last = self._known(_read(self._fleet))
        return replace(self._last, series_fault=self._faults.series_fault(now))

    def _in_the_dark(self, last: FleetView) -> FleetView:
        """Nothing of what is told once is taken: it comes with the next reading."""
        ready, draining = self._fleet.ready_numbers, self._fleet.draining_numbers
        known = {each.number for each in last.replicas}
        return self._known(
            replace(
                last,
                ordered_replicas=self._fleet.ordered_replicas,
                draining_replicas=self._fleet.draining_replicas,
                replicas=tuple(each for each in last.replicas if each.number in ready),
                draining=tuple(each for each in last.draining if each.number in draining),
                unread_replicas=tuple(number for number in ready if number not in known),
                first_token_seconds=_nothing(),
                output_token_seconds=_nothing(),
                finished_output_tokens=_nothing(),
                read_seconds=last.now_seconds,
            )
        )

    def _known(self, view: FleetView) -> FleetView:
        """With what the executor tells, and by the host's clock."""
        clock, ends = self._faults.clock_seconds, self._fleet.take_ends()
        starts = self._fleet.take_starts()
        return replace(
            view,
            now_seconds=clock(self._fleet.now_seconds),
            elapsed_seconds=self._fleet.now_seconds,
            pending_ordered_seconds=tuple(map(clock, self._fleet.pending_ordered_seconds)),
            lead_times_seconds=tuple(
                max(0.0, clock(each.ready_seconds) - clock(each.ordered_seconds)) for each in starts
            ),
            failed_starts_seconds=tuple(map(clock, ends.failed_starts_seconds)),
            failed_orders_seconds=tuple(map(clock, ends.failed_orders_seconds)),
            lives_lost_seconds=ends.lives_lost_seconds,
        )


def _read(fleet: Fleet) -> FleetView:
    """All that metrics tell; takes what is told once."""
    plant = fleet.plant
    output_token_seconds, output_tokens = plant.take_finished()
    return FleetView(
        now_seconds=fleet.now_seconds,
        ordered_replicas=fleet.ordered_replicas,
        draining_replicas=fleet.draining_replicas,
        draining=plant.draining_samples(),
        pending_ordered_seconds=fleet.pending_ordered_seconds,
        lead_times_seconds=(),
        replicas=plant.samples(),
        in_flight_requests=plant.in_flight_requests(),
        held_requests=plant.held_requests,
        oldest_held_seconds=plant.oldest_held_seconds,
        arrived_requests_total=plant.arrived_requests,
        arrived_prompt_tokens_total=plant.arrived_prompt_tokens,
        completed_requests_total=plant.completed_requests,
        completed_prompt_tokens_total=plant.completed_prompt_tokens,
        completed_output_tokens_total=plant.completed_output_tokens,
        failed_requests_total=plant.failed_requests + plant.rejected_requests,
        shed_requests_total=plant.shed_requests,
        first_token_seconds=plant.take_first_tokens(),
        output_token_seconds=output_token_seconds,
        finished_output_tokens=output_tokens,
    )


def _nothing() -> FloatArray:
    return np.empty(0)

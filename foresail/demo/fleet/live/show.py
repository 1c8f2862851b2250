"""The minutes of a live fleet under traffic: requests are sent, and meanwhile the controller is looked at.

In: planned requests, the gateway's address, whom to ask. Out: a `LiveRun`, and its body for the page at any
time. Starts and ends no process.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from collector.clock import Clock
from foresail.demo.completion import Endpoint
from foresail.demo.fleet.bodies import FleetBody, MoveBody, ServiceBody
from foresail.demo.fleet.live.report import LiveRun, live_body
from foresail.demo.fleet.live.tally import ClientTally
from foresail.demo.fleet.live.watch import FleetWatch
from foresail.demo.load import replay
from foresail.demo.trace import PlannedRequest
from foresail.http.bodies import DecisionBody, StateBody

LOOK_SECONDS: Final = 1.0


class ControllerSource(Protocol):
    """Whom to ask."""

    async def state(self) -> StateBody | None:
        """The controller's state; None when it does not answer."""
        ...

    async def decisions(self) -> Sequence[DecisionBody] | None:
        """Its changes, newest first; None when it does not answer."""
        ...


class Show:
    """One run; it begins when this is made."""

    def __init__(
        self,
        services: Sequence[ServiceBody],
        *,
        controller: ControllerSource,
        clock: Clock,
        end_seconds: float,
        seed: int,
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._started_monotonic_seconds = clock.monotonic_seconds()
        self._is_over = False
        self._told_moves: set[tuple[float, str]] = set()
        self.result = LiveRun(
            services=tuple(services),
            tally=ClientTally(services),
            watch=FleetWatch(
                [each.name for each in services],
                end_seconds=end_seconds,
                start_timestamp_seconds=clock.timestamp_seconds(),
            ),
            end_seconds=end_seconds,
            seed=seed,
        )
        self.body: FleetBody = self._body()

    @property
    def now_seconds(self) -> float:
        """Since the traffic began."""
        return self._clock.monotonic_seconds() - self._started_monotonic_seconds

    async def run(
        self,
        requests: Sequence[PlannedRequest],
        *,
        endpoint: Endpoint,
        stop: asyncio.Event,
        on_look: Callable[["Show"], None],
    ) -> None:
        """Returns once all have ended, or soon after `stop` is set."""
        await self._look()
        watching = asyncio.create_task(self._watch(on_look))
        try:
            await replay(
                requests,
                endpoint=endpoint,
                clock=self._clock,
                on_result=self.result.tally.note,
                stop_event=stop,
            )
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        self._is_over = True
        await self._look()

    def new_moves(self) -> list[MoveBody]:
        """Those that changed a count and were not asked for before, oldest first."""
        moves = [
            each
            for each in reversed(self.result.watch.moves)
            if each.from_replicas != each.to_replicas
            and (each.at_seconds, each.service) not in self._told_moves
        ]
        self._told_moves.update((each.at_seconds, each.service) for each in moves)
        return moves

    async def _watch(self, on_look: Callable[["Show"], None]) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self._look()
            on_look(self)

    async def _look(self) -> None:
        watch = self.result.watch
        state, decisions = await self._controller.state(), await self._controller.decisions()
        if state is None:
            watch.pass_to(self.now_seconds)
        else:
            watch.look(state, at_seconds=self.now_seconds)
        if decisions is not None:
            watch.note_decisions(decisions)
        self.body = self._body()

    def _body(self) -> FleetBody:
        return live_body(self.result, now_seconds=self.now_seconds, is_over=self._is_over)

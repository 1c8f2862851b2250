"""Sends planned requests at their times, whether or not earlier ones have been answered.

In: what `trace.scale_cut` planned and the address of a gateway. Out: one `RequestResult` for every
request whose time came, handed over as it ends, and their count. An open loop: users do not wait
for each other, so a slow service gets a queue, not fewer requests. What is bounded is the number in
flight; an arrival beyond it is a failure of its own kind. Decides nothing and logs nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiohttp

from collector.clock import Clock
from foresail.demo.completion import (
    Endpoint,
    Outcome,
    RequestResult,
    client_session,
    send_completion,
)
from foresail.demo.trace import PlannedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCount:
    """Where the requests went: planned >= sent = ok + failed + cancelled."""

    planned: int
    sent: int  # those whose time came before the replay was stopped
    ok: int
    failed: int
    cancelled: int  # in flight when the replay was stopped


async def replay(
    requests: Iterable[PlannedRequest],
    *,
    endpoint: Endpoint,
    clock: Clock,
    on_result: Callable[[RequestResult], None],
    stop_event: asyncio.Event,
) -> ReplayCount:
    """The count, once every request has ended or `stop_event` is set.

    Time 0 of the plan is now. `on_result` is called once for each request sent, in the order they
    end, and must not raise. When `stop_event` is set or this call is cancelled, nothing more is
    sent and what is in flight ends as CANCELLED; a cancelled call then raises as usual.
    """
    planned = sorted(requests, key=lambda request: request.at_seconds)
    stopping = asyncio.create_task(stop_event.wait())
    try:
        async with client_session() as session:
            sender = _Sender(endpoint=endpoint, clock=clock, session=session, on_result=on_result)
            try:
                await _send_in_time(planned, sender=sender, stopping=stopping)
            finally:
                await sender.cancel_rest()
    finally:
        stopping.cancel()
    return sender.count(planned=len(planned))


class _Sender:
    """Requests in flight and the outcomes of those that ended."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        clock: Clock,
        session: aiohttp.ClientSession,
        on_result: Callable[[RequestResult], None],
    ) -> None:
        self.clock = clock
        self.in_flight: dict[asyncio.Task[None], PlannedRequest] = {}
        self._endpoint = endpoint
        self._session = session
        self._on_result = on_result
        self._started = clock.monotonic_seconds()
        self._outcomes: Counter[Outcome] = Counter()

    def seconds_until(self, request: PlannedRequest) -> float:
        """Until the request is due; negative when it is late."""
        return request.at_seconds - self._since_start()

    def send(self, request: PlannedRequest) -> None:
        """Starts the request, or fails it at once where too many are in flight."""
        if len(self.in_flight) >= self._endpoint.in_flight_count:
            self._end(self._unsent(request, outcome=Outcome.OVERFLOW))
        else:
            self.in_flight[asyncio.create_task(self._run(request))] = request

    async def cancel_rest(self) -> None:
        """Ends what is in flight and waits until it has ended."""
        rest = dict(self.in_flight)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in rest.keys() & self.in_flight.keys():  # cancelled before its first step
            self._end(self._unsent(self.in_flight.pop(task), outcome=Outcome.CANCELLED))

    def count(self, *, planned: int) -> ReplayCount:
        """What has ended so far."""
        sent = self._outcomes.total()
        ok, cancelled = self._outcomes[Outcome.OK], self._outcomes[Outcome.CANCELLED]
        return ReplayCount(
            planned=planned, sent=sent, ok=ok, failed=sent - ok - cancelled, cancelled=cancelled
        )

    async def _run(self, request: PlannedRequest) -> None:
        result = self._unsent(request, outcome=Outcome.CANCELLED)
        try:
            result = await send_completion(
                request,
                endpoint=self._endpoint,
                session=self._session,
                clock=self.clock,
                started_monotonic_seconds=self._started,
            )
        finally:
            task = asyncio.current_task()
            if task is not None:
                self.in_flight.pop(task, None)
            self._end(result)

    def _end(self, result: RequestResult) -> None:
        self._outcomes[result.outcome] += 1
        self._on_result(result)

    def _unsent(self, request: PlannedRequest, *, outcome: Outcome) -> RequestResult:
        return RequestResult(
            request=request,
            outcome=outcome,
            sent_at_seconds=self._since_start(),
            end_to_end_seconds=0.0,
        )

    def _since_start(self) -> float:
        return self.clock.monotonic_seconds() - self._started


async def _send_in_time(
    planned: Iterable[PlannedRequest], *, sender: _Sender, stopping: asyncio.Task[bool]
) -> None:
    """Returns when all have ended or `stopping` has."""
    for request in planned:
        delay = sender.seconds_until(request)
        if delay > 0:
            await _first_of(stopping, asyncio.create_task(sender.clock.sleep(delay)))
        if stopping.done():
            return
        sender.send(request)
    while sender.in_flight and not stopping.done():
        await asyncio.wait({stopping, *sender.in_flight}, return_when=asyncio.FIRST_COMPLETED)


async def _first_of(stopping: asyncio.Task[bool], waiting: asyncio.Task[None]) -> None:
    try:
        await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()

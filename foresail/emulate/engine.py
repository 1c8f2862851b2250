"""One emulated engine: the pure model, moved by a clock, with vLLM's sleep and pause protocol.

In: requests to generate, calls of the control plane, faults. Out: tokens, metrics, state. Between
the routes and the model. A request that comes while the engine sleeps or is paused waits here, where
no gauge of the engine sees it, as in vLLM. Must not know about HTTP.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.engine_model.costs import PICOSECONDS_PER_SECOND, seconds
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import Completion, Load, Request
from collector.clock import Clock
from foresail.emulate.errors import EngineFailed
from foresail.emulate.metrics import EngineMetrics
from foresail.emulate.settings import EngineSettings

_SHORTEST_TURN_SECONDS = 0.002  # of the clock; tokens made meanwhile are given together
ABORT = "abort"


class Treatment(StrEnum):
    """What becomes of requests in the engine when it is to sleep or pause."""

    ABORT = "abort"
    WAIT = "wait"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Tokens just made; the last one of an answer has the reason and the completion."""

    token_count: int
    finish_reason: str | None = None
    completion: Completion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a client asked for."""

    prompt_tokens: int
    output_tokens: int
    finish_reason: str  # when all of it was made


@dataclass(slots=True, kw_only=True)
class _Ticket:
    """A request in the model."""

    order: Order
    made_tokens: int = 0
    given_tokens: int = 0
    end: Delta | None = None
    failure: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class EmulatedEngine:
    """One replica."""

    def __init__(self, settings: EngineSettings, *, clock: Clock) -> None:
        self.settings = settings
        self.metrics = EngineMetrics(settings, now_timestamp_seconds=clock.timestamp_seconds())
        self._clock = clock
        self._origin = clock.monotonic_seconds()
        self._pumped_until = 0
        self._model = EngineModel(costs=settings.costs, limits=settings.limits(), keeps_runs=True)
        self._tickets: dict[int, _Ticket] = {}
        self._numbers = 0
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._open = asyncio.Event()  # requests enter the model
        self._open.set()
        self._asleep_tags: set[str] = set()
        self.sleep_level: int | None = None
        self.is_paused = False
        self.is_hanging = False
        self.failure: str | None = None
        self.busy_picoseconds = 0

    def now(self) -> int:
        """The engine's time in picoseconds; it runs `speed` times as fast as the clock."""
        elapsed = self._clock.monotonic_seconds() - self._origin
        return int(elapsed * self.settings.speed * PICOSECONDS_PER_SECOND)

    async def run(self) -> None:
        """Moves the model for ever; to be cancelled."""
        while True:
            boundary = self._model.next_boundary()
            if boundary is None or self.is_hanging:
                await self._work.wait()
                self._work.clear()
                continue
            span = seconds(boundary - self.now()) / self.settings.speed
            await self._clock.sleep(max(span, _SHORTEST_TURN_SECONDS))
            self._pump()

    async def generate(self, order: Order) -> AsyncGenerator[Delta]:
        """Tokens as they are made. Raises EngineFailed. Closed early, it takes the request back."""
        while not self._open.is_set():
            await self._open.wait()
        self._check()
        self._numbers += 1
        number, ticket = self._numbers, _Ticket(order=order)
        self._tickets[number] = ticket
        request = Request(number, order.prompt_tokens, order.output_tokens)
        self._model.submit(request, at=self._event_time())
        self._work.set()
        try:
            async for delta in _deltas(ticket):
                yield delta
        finally:
            if number in self._tickets:
                self._abort(number)

    def load(self) -> Load:
        """What is in the model now."""
        self._pump()
        return self._model.load()

    @property
    def held_count(self) -> int:
        """Requests waiting and running."""
        return len(self._tickets)

    async def drained(self) -> None:
        """Returns when no request is in the model."""
        while self._tickets:
            self._empty.clear()
            await self._empty.wait()

    async def sleep(self, *, level: int, treatment: Treatment) -> None:
        """Stops admitting, deals with what is in the engine, and lets go of its memory."""
        begun = self.now()
        self.metrics.sleep_operation_begins("sleep")
        await self._stop_admitting(treatment)
        if level == 1 and self.sleep_level is None:
            await self._spend(self.settings.row.wake_level_1_seconds)
        self.sleep_level = level
        self._asleep_tags = {"weights", "kv_cache"}
        self.metrics.set_sleep_level(level)
        self._end_operation("sleep", begun=begun)

    async def wake_up(self, tags: frozenset[str] | None) -> bool:
        """Whether all of it is awake now; `None` wakes all."""
        begun = self.now()
        self.metrics.sleep_operation_begins("wake")
        wanted = self._asleep_tags if tags is None else self._asleep_tags & tags
        if "weights" in wanted and self.sleep_level:
            row = self.settings.row
            first, second = row.wake_level_1_seconds, row.wake_level_2_seconds
            await self._spend(first if self.sleep_level == 1 else second)
        self._asleep_tags = self._asleep_tags - wanted
        if not self._asleep_tags:
            self.sleep_level = None
            self.metrics.set_sleep_level(None)
            self._admit_again()
        self._end_operation("wake", begun=begun)
        return not self._asleep_tags

    async def pause(self, treatment: Treatment) -> None:
        """Stops admitting and deals with what is in the engine."""
        await self._stop_admitting(treatment)
        self.is_paused = True

    def resume(self) -> None:
        """Goes on."""
        self._admit_again()

    def fail(self, message: str) -> None:
        """Ends every request with this error, those that come, too."""
        self.failure = message
        for number, ticket in list(self._tickets.items()):
            self._model.cancel(number, at=self._event_time())
            ticket.failure = message
            ticket.news.set()
        self._tickets.clear()
        self._empty.set()
        self._open.set()

    def slow_down(self, factor: float) -> None:
        """Steps take `factor` times as long as the row says."""
        self._model.change_costs(self.settings.costs.scaled(factor), at=self._event_time())

    def hang(self, *, is_hanging: bool) -> None:
        """Nothing is made any more, and nobody is told; or it goes on."""
        if is_hanging == self.is_hanging:
            return
        at = self._event_time()
        if is_hanging:
            self._model.pause(at=at)
        else:
            self._model.resume(at=at)
        self.is_hanging = is_hanging
        self._work.set()

    def _check(self) -> None:
        if self.failure is not None:
            raise EngineFailed(self.failure)

    async def _stop_admitting(self, treatment: Treatment) -> None:
        self._open.clear()
        match treatment:
            case Treatment.ABORT:
                for number in list(self._tickets):
                    self._abort(number)
            case Treatment.WAIT:
                await self.drained()
            case Treatment.KEEP:
                self._model.pause(at=self._event_time())

    def _admit_again(self) -> None:
        self.is_paused = False
        if not self.is_hanging:
            self._model.resume(at=self._event_time())
        self._open.set()
        self._work.set()

    async def _spend(self, engine_seconds: float) -> None:
        await self._clock.sleep(engine_seconds / self.settings.speed)

    def _end_operation(self, operation: str, *, begun: int) -> None:
        self.metrics.sleep_operation_ends(operation, duration_seconds=seconds(self.now() - begun))

    def _event_time(self) -> int:
        """Now, after everything until now was told."""
        self._pump()
        return max(self.now(), self._pumped_until)

    def _pump(self) -> None:
        """Moves the model to now and tells what happened."""
        self._pumped_until = max(self.now(), self._pumped_until)
        self._model.advance(self._pumped_until)
        runs = self._model.take_runs()
        self.metrics.observe_runs(runs)
        self.busy_picoseconds += sum(
            n * first + growth * (n * (n - 1) // 2) for n, first, growth, _, _ in runs
        )
        self.metrics.observe_gaps(self._model.take_gaps())
        for number, delay in self._model.take_first_tokens():
            if (ticket := self._tickets.get(number)) is not None:
                self.metrics.observe_first_token(
                    delay_picoseconds=delay, prompt_tokens=ticket.order.prompt_tokens
                )
        for completion in self._model.take_completions():
            self._end(completion, reason=None)
        self._give_news()
        self.metrics.set_load(self._model.load())

    def _give_news(self) -> None:
        for number, ticket in self._tickets.items():
            made = self._model.output_tokens(number) or 0
            if made > ticket.given_tokens:
                ticket.news.set()
                ticket.made_tokens = made

    def _abort(self, number: int) -> None:
        completion = self._model.cancel(number, at=self._event_time())
        if completion is not None:
            self._end(completion, reason=ABORT)
        self._tickets.pop(number, None)

    def _end(self, completion: Completion, *, reason: str | None) -> None:
        ticket = self._tickets.pop(completion.number, None)
        if ticket is None:
            return
        why = reason or ticket.order.finish_reason
        self.metrics.observe_end(completion, reason=why, max_tokens=ticket.order.output_tokens)
        ticket.made_tokens = completion.output_tokens
        ticket.end = Delta(token_count=0, finish_reason=why, completion=completion)
        ticket.news.set()
        if not self._tickets:
            self._empty.set()


async def _deltas(ticket: _Ticket) -> AsyncGenerator[Delta]:
    """What is new of one request, until its end."""
    while True:
        await ticket.news.wait()
        ticket.news.clear()
        if ticket.failure is not None:
            raise EngineFailed(ticket.failure)
        new = ticket.made_tokens - ticket.given_tokens
        ticket.given_tokens = ticket.made_tokens
        if ticket.end is not None:
            yield Delta(
                token_count=new,
                finish_reason=ticket.end.finish_reason,
                completion=ticket.end.completion,
            )
            return
        if new:
            yield Delta(token_count=new)


@contextlib.asynccontextmanager
async def moving(engine: EmulatedEngine) -> AsyncIterator[None]:
    """The engine's clock runs inside the `async with`."""
    task = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

"""The only place that reads time. `SystemClock` in production, `VirtualClock` in simulation and tests."""

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Where a shell gets the time from. Pure stages take `now` as an argument instead."""

    def timestamp_seconds(self) -> float:
        """Seconds since the Unix epoch; may jump when the host's clock is set."""
        ...

    def monotonic_seconds(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after that much of this clock's time."""
        ...


class SystemClock:
    """The host's clocks."""

    def timestamp_seconds(self) -> float:
        """Wall time in epoch seconds."""
        return time.time()

    def monotonic_seconds(self) -> float:
        """CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleeps in the running event loop."""
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """Time that moves only when `advance` is called; sleepers wake in order of their deadlines."""

    def __init__(self, start_timestamp_seconds: float = 0.0) -> None:
        self._start = start_timestamp_seconds
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0

    def timestamp_seconds(self) -> float:
        """Start plus what was advanced."""
        return self._start + self._elapsed

    def monotonic_seconds(self) -> float:
        """What was advanced."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Waits until `advance` has passed the deadline."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._sequence, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves time forward, letting every sleeper on the way run at its own deadline."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            deadline, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, deadline)
            if not future.done():
                future.set_result(None)
            await _let_others_run()
        self._elapsed = end
        await _let_others_run()


async def _let_others_run(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)

"""A thread for calls into a library that may hang: the caller goes on at its timeout, the call may not.

In: one job at a time. Out: its result, or the news that it takes too long. A hung call cannot be
ended from outside; so there is never more than one, and the thread is a daemon, for the process must
be able to end while a driver sleeps.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from collector.errors import TransientSourceError

T = TypeVar("T")


class SingleWorker:
    """Runs jobs one after the other in a thread that starts with the first one."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._running: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job has not come back."""
        return self._running is not None and not self._running.done()

    async def run(self, job: Callable[[], T], *, timeout_seconds: float) -> T:
        """The job's result. Raises TransientSourceError at the timeout, or while an old job hangs."""
        if self.is_busy:
            raise TransientSourceError("an earlier call into it has not come back")
        future: Future[T] = Future()
        self._running = future
        self._ensure_thread()
        self._jobs.put((future, job))
        try:
            # Shielded: a job that runs cannot be cancelled, and must stay known as running.
            return await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(future)), timeout_seconds
            )
        except TimeoutError as error:
            message = f"it did not answer within {timeout_seconds:g} s"
            raise TransientSourceError(message) from error

    def stop(self) -> None:
        """Ends the thread after what it does now; the next `run` starts another."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None
            self._jobs = queue.SimpleQueue()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            self._thread.start()


def _work(jobs: "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]") -> None:
    while (item := jobs.get()) is not None:
        future, job = item
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001  handed to who asked, as a thread pool does
            future.set_exception(error)
        else:
            future.set_result(result)

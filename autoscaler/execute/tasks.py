"""Running tasks of the executor, none forgotten, none failing in silence.

In: coroutines. Out: tasks that can be waited for and cancelled together; one that fails is logged
once and told to `on_failure`. Must not restart anything.
"""

import asyncio
from collections.abc import Callable, Coroutine


class Tasks:
    """A set of tasks of one kind."""

    def __init__(self, *, on_failure: Callable[[str, BaseException], None]) -> None:
        """`on_failure` gets the task's name and its exception."""
        self._on_failure = on_failure
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None], *, name: str) -> None:
        """Lets it run."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def is_running(self, name: str) -> bool:
        """Whether a task of this name has not ended yet."""
        return any(task.get_name() == name and not task.done() for task in self._running)

    async def wait_idle(self) -> None:
        """Returns when nothing runs any more, what was started meanwhile included."""
        while self._running:
            await asyncio.wait(self._running)
            await asyncio.sleep(0)  # lets the callbacks run that take finished ones out

    async def cancel(self) -> None:
        """Ends all, and returns when they have ended."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)
            await asyncio.sleep(0)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(task.get_name(), error)

"""A blocking call in a thread of its own that nobody waits for when the process ends.

In: a call that may hang, as one into a file system. Out: its result. The loop's own pool would not do:
a loop that ends waits for every thread of it, however long. Must not be used for calls that write.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(job: Callable[[], T]) -> T:
    """What the job returns, or raises. Cancelled, it leaves the thread to its fate."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(target=_work, args=(future, job), daemon=True).start()
    return await asyncio.wrap_future(future)


def _work(future: Future[T], job: Callable[[], T]) -> None:
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001  handed to who asked, as a thread pool does
        future.set_exception(error)
    else:
        future.set_result(result)

"""Gateway and controller of a live fleet: started, asked, and ended with all their engines.

In: settings that were written to a file. Out: both as processes under the supervisor, bodies of the
controller's pages. Leaves no process behind, however it ends. Knows no traffic.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import aiohttp
from pydantic import ValidationError

from collector.clock import Clock
from foresail.demo.errors import DemoError
from foresail.http.bodies import DecisionBody, DecisionsBody, StateBody
from foresail.settings import Settings
from foresail.supervisor import Supervisor
from foresail.up import controller_url, make_supervisor
from foresail.wiring.engines import end_left_over

READY_TIMEOUT_SECONDS: Final = 120.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
_LOOK_SECONDS: Final = 0.25
_DECISIONS: Final = "v1/decisions?last=200&changes_only=true"


class Stage:
    """Both processes of one work folder."""

    def __init__(self, settings: Settings, *, clock: Clock, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._say = say
        self.left_engines = 0  # that the controller did not end by itself

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Supervisor]:
        """Both run inside the `async with`; engines end with them."""
        supervisor = make_supervisor(
            self._settings, stop_engines=True, clock=self._clock, say=self._say
        )
        try:
            await supervisor.start()
            yield supervisor
        finally:
            self._say("ending all engines, the controller and the gateway")
            await supervisor.end()
            self.left_engines = await end_left_over(self._settings.state_dir)

    async def ready(self, supervisor: Supervisor, *, replicas: Mapping[str, int]) -> None:
        """Returns once so many replicas of each service serve. Raises DemoError."""
        deadline = self._clock.monotonic_seconds() + READY_TIMEOUT_SECONDS
        while not _serves(await self.state(), replicas=replicas):
            for child in supervisor.children:
                if child.failed.is_set():
                    raise DemoError(f"{child.settings.name}: {child.last_log_line()}")
            if self._clock.monotonic_seconds() > deadline:
                raise DemoError(
                    f"the first engines do not serve after {READY_TIMEOUT_SECONDS:.0f} s; run again "
                    "with --keep and look at the logs in its work folder"
                )
            await self._clock.sleep(_LOOK_SECONDS)

    async def state(self) -> StateBody | None:
        """What the controller says; None when it does not answer."""
        text = await self._text("v1/state")
        with contextlib.suppress(ValidationError):  # cut off at its end
            return None if text is None else StateBody.model_validate_json(text)
        return None

    async def decisions(self) -> list[DecisionBody] | None:
        """Those that changed something or have a new reason, newest first; None as above."""
        text = await self._text(_DECISIONS)
        with contextlib.suppress(ValidationError):
            return None if text is None else DecisionsBody.model_validate_json(text).decisions
        return None

    async def _text(self, path: str) -> bytes | None:
        url = f"{controller_url(self._settings)}/{path}"
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(url) as answer,
            ):
                return await answer.read() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def _serves(state: StateBody | None, *, replicas: Mapping[str, int]) -> bool:
    if state is None or not state.is_ready:
        return False
    serving = {
        service.name: sum(each.state == "serving" for each in service.replicas)
        for service in state.services
    }
    return all(serving.get(name, 0) >= count for name, count in replicas.items())


async def unless_stopped(work: asyncio.Task[None], *, stop: asyncio.Event) -> bool:
    """Whether it was done before anybody wanted an end; then it is cancelled and has put things away."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        work.cancel()  # without effect where it is done
        await asyncio.gather(work, return_exceptions=True)
    if stop.is_set():
        return False
    work.result()
    return True

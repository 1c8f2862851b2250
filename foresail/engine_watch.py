"""The engines of a box, as the node agent looks at them: admin state, and llama.cpp's queue.

In: the engines the owner named, a reader for each kind, a reader of metric pages. Out: an `EngineLook`
each. Asks only what leaves a sleeping model asleep; what that is, the engines' contracts say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from collector.engine_series import EngineLook
from collector.errors import ConfigurationError
from collector.model.contract import Contract, EngineSignal, version_numbers
from collector.model.engine_admin import AdminApi, EngineAdminState
from collector.model.page import PageIdentity, PageReadings
from collector.model.reading import Missing, MissingReason, Number, fresh_value
from collector.model.snapshot import Problem
from collector.normalise.page import read_page
from collector.ports import EngineAdminReader, Exposition, ExpositionReader, ScrapeTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedEngine:
    """One engine the owner named."""

    api: AdminApi
    base_url: str  # without a slash at its end

    @property
    def address(self) -> str:
        """The URL without its scheme: short enough for a label, and unique per kind."""
        return self.base_url.partition("://")[2]


def watched_engine(text: str, *, api: AdminApi) -> WatchedEngine:
    """The engine at the URL in `text`. Raises ConfigurationError."""
    flag = f"--{api.value.replace('_', '-')}"
    parts = _parts(text)
    if parts is None or not text.isprintable() or " " in text:
        raise ConfigurationError(
            f"{flag} must be a URL such as http://127.0.0.1:8080, got {text!r}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{flag} must be scheme, host, port and perhaps a path; names, passwords, '?' and '#' "
            f"have no place in the one for {parts.hostname}"
        )
    return WatchedEngine(api=api, base_url=text.rstrip("/"))


def _parts(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, a bracket that is not closed
        return None
    return parts if is_usable else None


class EngineWatch:
    """Looks at all engines at once."""

    def __init__(
        self,
        *,
        engines: Sequence[WatchedEngine],
        readers: Mapping[AdminApi, EngineAdminReader],
        pages: ExpositionReader,
        llama_cpp: Contract,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """`close` ends the connections of the readers. Raises ConfigurationError for a double."""
        names = [(each.api, each.address) for each in engines]
        if doubles := sorted(
            {address for api, address in names if names.count((api, address)) > 1}
        ):
            raise ConfigurationError(f"{doubles[0]} is given twice; leave one out")
        self._engines = tuple(engines)
        self._readers = readers
        self._pages = pages
        self._llama_cpp = llama_cpp
        self._close = close

    async def look(self) -> tuple[EngineLook, ...]:
        """One look per engine, in the order given, within the readers' timeouts."""
        return tuple(await asyncio.gather(*(self._look(each) for each in self._engines)))

    async def close(self) -> None:
        """Closes the connections to the engines."""
        await self._close()

    async def _look(self, engine: WatchedEngine) -> EngineLook:
        state = await self._readers[engine.api].read_admin_state(engine.base_url)
        exposition = await self._exposition(state)
        running: Number = _unseen(engine.api)
        waiting: Number = _unseen(engine.api)
        if exposition is not None and exposition.text is not None:
            page = self._page(exposition, text=exposition.text, state=state)
            running = page.number(EngineSignal.RUNNING_REQUESTS)
            waiting = page.number(EngineSignal.WAITING_REQUESTS)
        elif exposition is not None:
            problem = Problem(source=f"engine:{engine.api.value}", message=exposition.error or "")
            state = replace(state, problems=(*state.problems, problem))
        return EngineLook(
            address=engine.address, state=state, running_requests=running, waiting_requests=waiting
        )

    async def _exposition(self, state: EngineAdminState) -> Exposition | None:
        """The metric page of a llama.cpp server that serves one and is not woken by reading it.

        vLLM's is a Prometheus target itself; the other kinds have none of their own requests.
        """
        if state.api is not AdminApi.LLAMA_CPP or not fresh_value(state.serves_metrics):
            return None
        path = self._llama_cpp.metrics_path(_version(state))
        if path is None:
            return None
        target = ScrapeTarget(
            key=state.base_url,
            url=state.base_url + path,
            keep_alive=self._llama_cpp.keep_alive,
        )
        return (await self._pages.read_expositions([target]))[target.key]

    def _page(self, exposition: Exposition, *, text: str, state: EngineAdminState) -> PageReadings:
        identity = PageIdentity(
            key=state.base_url, source=f"engine:{state.api.value}", engine_version=_version(state)
        )
        return read_page(
            text,
            contract=self._llama_cpp,
            identity=identity,
            observed_timestamp_seconds=exposition.observed_timestamp_seconds,
        )


def _unseen(api: AdminApi) -> Missing:
    return Missing(reason=MissingReason.CANNOT_SEE, source=f"engine:{api.value}")


def _version(state: EngineAdminState) -> tuple[int, ...] | None:
    told = fresh_value(state.version)
    return None if told is None else version_numbers(told)

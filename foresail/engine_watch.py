"""The engines of a box, as the node agent looks at them: admin state, and llama.cpp's queue.

In: the engines the owner named, a reader for each kind, a reader of metric pages. Out: an `EngineLook`
each. Asks only what leaves a sleeping model asleep; what that is, the engines' contracts say.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from collector.engine_series import EngineLook
from collector.engine_versions import EngineAnswer
from collector.errors import ConfigurationError
from collector.model.contract import Contract, EngineSignal, version_numbers
from collector.model.engine_admin import AdminApi, EngineAdminState
from collector.model.page import PageIdentity, PageReadings
from collector.model.reading import Missing, MissingReason, Number, fresh_value
from collector.model.snapshot import Problem
from collector.normalise.page import read_page
from collector.page_safety import why_unread
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
        running: Number = _unseen(engine.api)
        waiting: Number = _unseen(engine.api)
        if state.api is AdminApi.LLAMA_CPP and fresh_value(state.serves_metrics):
            # vLLM's page is a Prometheus target itself; the others have none of their own requests.
            page = await self._page_or_why(state)
            if isinstance(page, str):
                problem = Problem(source=f"engine:{engine.api.value}", message=page)
                state = replace(state, problems=(*state.problems, problem))
            else:
                running = page.number(EngineSignal.RUNNING_REQUESTS)
                waiting = page.number(EngineSignal.WAITING_REQUESTS)
        return EngineLook(
            address=engine.address, state=state, running_requests=running, waiting_requests=waiting
        )

    async def _page_or_why(self, state: EngineAdminState) -> PageReadings | str:
        """The metric page of a llama.cpp server, or why there is none, in one line."""
        why = why_unread(self._llama_cpp, answer=_answer(state))
        path = self._llama_cpp.metrics_path(None)
        if why is not None or path is None:
            return f"{state.base_url}: {why or 'it has no metric page'}"
        exposition = await self._exposition(state, path=path)
        if exposition.text is None:
            return exposition.error or f"{state.base_url}{path} was not read"
        return self._page(exposition, text=exposition.text, state=state)

    async def _exposition(self, state: EngineAdminState, *, path: str) -> Exposition:
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


def _answer(state: EngineAdminState) -> EngineAnswer:
    """What it told of itself; builds that cannot sleep when idle do not say whether they do."""
    told, is_asleep, serves_metrics = state.version, state.is_asleep, state.serves_metrics
    has_told = not isinstance(told, Missing) or told.reason is MissingReason.CANNOT_SEE
    is_untold = isinstance(is_asleep, Missing) and is_asleep.reason is MissingReason.SERIES_ABSENT
    return EngineAnswer(
        version=told.reason if isinstance(told, Missing) else told.value,
        never_sleeps=has_told and is_untold,
        told_timestamp_seconds=0.0
        if isinstance(serves_metrics, Missing)
        else serves_metrics.observed_timestamp_seconds,
    )


def _version(state: EngineAdminState) -> tuple[int, ...] | None:
    told = fresh_value(state.version)
    return None if told is None else version_numbers(told)

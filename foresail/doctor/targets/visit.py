"""Looks at targets once: the metric page and the version of each. In: addresses. Out: `Visit`s.

Through the collector's own reader. Where the engine is not declared, the paths that contracts name
are tried, those first that are safe at every engine. An engine of which some builds take a look at
their page for use is asked for its build first. Must not ask what a contract calls unsafe, and judges
nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.model.contract import Contract, Contracts
from collector.model.samples import Samples
from collector.normalise.exposition import parse_exposition
from collector.page_safety import why_unread
from collector.ports import Exposition, ExpositionReader, Reply, ScrapeTarget
from foresail.doctor.targets.address import Address
from foresail.doctor.targets.build import Told, ask_build
from foresail.doctor.targets.recognise import (
    PROMETHEUS,
    is_prometheus,
    page_version,
    recognised,
)

_DROPPED = ("_created",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One target to look at."""

    address: Address
    declared: Contract | None = None  # None: whatever it turns out to be
    is_known_awake: bool = False  # started by us, and without a word that lets it sleep when idle
    reads_anyway: bool = False  # its page, even where that may keep a model awake


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What came of it."""

    asked: Asked
    url: str  # that was read last
    exposition: Exposition | None  # None: its engine has no metric page
    samples: Samples | None  # of the page; None: there is none
    found: Contract | None  # whose page it is; None: not known
    is_prometheus: bool
    version: str | None  # as it says; None: it does not
    reply: Reply | None  # to what was read last; None: nobody answered, or only its API was asked
    why_unread: str | None = None  # why its page was left alone on purpose; None: it was not


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    url: str
    exposition: Exposition
    samples: Samples | None = None
    found: Contract | None = None
    is_prometheus: bool = False

    @property
    def is_known(self) -> bool:
        return self.found is not None or self.is_prometheus


def _without_path(page: _Page, *, asked: Asked) -> _Page:
    """A server that nobody reaches, named as it was typed: the path tried first tells nothing."""
    if asked.address.path is not None:
        return page
    is_socket = asked.address.unix_socket_path is not None
    base = asked.address.name if is_socket else asked.address.base_url
    error = (page.exposition.error or "").replace(page.url, base)
    return replace(page, url=base, exposition=replace(page.exposition, error=error or None))


class Visitor:
    """Looks at many targets at once, as bounded as the reader is."""

    def __init__(self, *, reader: ExpositionReader, contracts: Contracts) -> None:
        self._reader = reader
        self._contracts = (
            *contracts.engines.values(),
            *contracts.exporters.values(),
            contracts.gateway,
        )

    async def visit(self, asked: Sequence[Asked]) -> list[Visit]:
        """One visit per target, in their order, however they behave."""
        return list(await asyncio.gather(*map(self._visit, asked)))

    async def _visit(self, asked: Asked) -> Visit:
        return await self._left_alone(asked) or await self._read_visit(asked)

    async def _left_alone(self, asked: Asked) -> Visit | None:
        """The visit of an engine whose page stays unread; None: it may be read."""
        if asked.reads_anyway or asked.address.unix_socket_path is not None:
            return None
        for contract in self._contracts if asked.declared is None else (asked.declared,):
            endpoint = contract.version_endpoint() if contract.has_unsafe_pages else None
            if endpoint is None:
                continue
            told = await ask_build(self._reader, address=asked.address, endpoint=endpoint)
            if told.is_elsewhere or (asked.declared is None and not told.is_of_engine):
                continue
            why = why_unread(contract, answer=told.answer, is_known_awake=asked.is_known_awake)
            if why is not None:
                return _unread_visit(asked, contract=contract, told=told, why=why)
        return None

    async def _read_visit(self, asked: Asked) -> Visit:
        page = await self._page(asked)
        found = page.found if page else asked.declared
        version = await self._version(asked, page=page, contract=found or asked.declared)
        if found is None and version is None and (page is None or page.exposition.reply):
            found, version = await self._without_page(asked)
        return Visit(
            asked=asked,
            url=page.url if page else asked.address.base_url,
            exposition=page.exposition if page else None,
            samples=page.samples if page else None,
            found=found,
            is_prometheus=bool(page and page.is_prometheus),
            version=version,
            reply=page.exposition.reply if page else None,
        )

    async def _page(self, asked: Asked) -> _Page | None:
        """The first page that somebody knows, else the last answer; None: there is no path to ask."""
        page: _Page | None = None
        for path in self._paths(asked):
            page = await self._read_page(asked, path)
            if page.exposition.reply is None and asked.declared is None:
                return _without_path(page, asked=asked)
            if page.is_known or page.exposition.reply is None:
                break
        return page

    def _paths(self, asked: Asked) -> list[str]:
        if asked.address.path is not None:
            return [asked.address.path]
        if asked.declared is not None:
            path = asked.declared.metrics_path(None)
            return [] if path is None else [path]
        paths = {each.metrics_path(None) for each in self._contracts} - {None}
        # /metrics takes something away at one engine, whose page has a longer path.
        return sorted((path for path in paths if path), key=len, reverse=True)

    async def _read_page(self, asked: Asked, path: str) -> _Page:
        exposition = await self._read(asked.address, path)
        url = f"{asked.address.base_url}{path}"
        if exposition.text is None:
            return _Page(url=url, exposition=exposition)
        samples = parse_exposition(
            exposition.text, source=asked.address.name, dropped_suffixes=_DROPPED
        )
        return _Page(
            url=url,
            exposition=exposition,
            samples=samples,
            found=recognised(samples.by_name.keys(), contracts=self._contracts),
            is_prometheus=is_prometheus(samples.by_name.keys()),
        )

    async def read_json(self, address: Address, path: str) -> str | None:
        """What a path beside the metric page answers; None when it gives nothing."""
        prefix = (address.path or "").removesuffix("/metrics")
        return (await self._read(address, f"{prefix}{path}")).text

    async def _read(self, address: Address, path: str) -> Exposition:
        target = ScrapeTarget(
            key=address.name,
            url=f"{address.base_url}{path}",
            unix_socket_path=address.unix_socket_path,
            keep_alive=False,  # whose server it is shows only afterwards
        )
        return (await self._reader.read_expositions([target]))[target.key]

    async def _version(
        self, asked: Asked, *, page: _Page | None, contract: Contract | None
    ) -> str | None:
        if page is not None and page.samples is not None:
            engine = PROMETHEUS if page.is_prometheus else contract.engine if contract else ""
            told = page_version(page.samples, engine=engine)
            if told is not None:
                return told
        if contract is None or (page is not None and page.exposition.reply is None):
            return None
        return await self._asked_version(asked.address, contract)

    async def _asked_version(self, address: Address, contract: Contract) -> str | None:
        """As the controller would ask for it."""
        endpoint = contract.version_endpoint()
        if endpoint is None or address.unix_socket_path is not None:
            return None
        whole = replace(address, path=None)
        return (await ask_build(self._reader, address=whole, endpoint=endpoint)).version

    async def _without_page(self, asked: Asked) -> tuple[Contract | None, str | None]:
        """The engine that has no metric page, if it is one; only paths safe at every engine."""
        for contract in self._contracts if asked.declared is None else ():
            if contract.metrics_path(None) is None:
                version = await self._asked_version(asked.address, contract)
                if version is not None:
                    return contract, version
        return None, None


def _unread_visit(asked: Asked, *, contract: Contract, told: Told, why: str) -> Visit:
    """Of an engine that told enough of itself to be left alone, or did not answer at all."""
    has_refused = told.is_refusal
    return Visit(
        asked=asked,
        url=told.url if has_refused else asked.address.base_url,
        exposition=told.exposition if has_refused else None,
        samples=None,
        found=contract if told.is_of_engine else None,
        is_prometheus=False,
        version=told.version,
        reply=told.exposition.reply,
        why_unread=None if has_refused else why,
    )

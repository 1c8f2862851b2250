"""What reads the owner's Prometheus. In: settings. Out: a reader of engines' pages, a reader of ranges.

The client library is an optional extra and slow to import: it is loaded when a reader is made.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.typing import FilteringBoundLogger

from collector.clock import Clock
from collector.errors import ConfigurationError
from collector.model.catalogue import Catalogue
from collector.model.contract import Contracts, SignalRule
from collector.ports import ExpositionReader, RangeReader
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.prometheus_pages import PrometheusReader, SplitReader, TargetLabels
from foresail.settings import EngineSource, PrometheusSettings, Settings

if TYPE_CHECKING:
    from collector.sources.prometheus_api import PrometheusApi


@contextlib.asynccontextmanager
async def page_reader(
    settings: Settings, *, clock: Clock, contracts: Contracts, catalogue: Callable[[], Catalogue]
) -> AsyncIterator[ExpositionReader]:
    """Reads the gateway's page directly, the engines' as `sources.engines` says.

    Raises ConfigurationError.
    """
    async with contextlib.AsyncExitStack() as stack:
        direct = await stack.enter_async_context(HttpExpositionReader(clock=clock))
        if settings.sources.engines is EngineSource.DIRECT:
            yield direct
            return
        asked = settings.prometheus
        api = stack.enter_context(opened(asked, wanted_by="sources.engines", clock=clock))
        reader = PrometheusReader(
            api,
            rules=lambda: rules_in_use(contracts, catalogue=catalogue()),
            clock=clock,
            labels=TargetLabels(
                label=asked.replica_label,
                holds=asked.replica_label_holds,
                match=asked.engine_match,
            ),
        )
        stack.push_async_callback(reader.close)
        yield SplitReader(engines=reader, sockets=direct)


@contextlib.contextmanager
def range_reader(settings: Settings, *, clock: Clock) -> Iterator[RangeReader]:
    """Answers questions about the past. Raises ConfigurationError."""
    with opened(settings.prometheus, wanted_by="history.kind", clock=clock) as api:
        yield api


def rules_in_use(contracts: Contracts, *, catalogue: Catalogue) -> Iterable[SignalRule]:
    """The signals of the engines that the catalogue names, and of no others."""
    variants = (variant for service in catalogue.services for variant in service.variants)
    for kind in sorted({variant.engine for variant in variants}):
        yield from contracts.engines[kind].rules.values()


def tell_late_scrapes(
    settings: Settings, *, catalogue: Catalogue, log: FilteringBoundLogger
) -> None:
    """Warns when readings will be stale before the next scrape: then no replica would ever go.

    Without our gateway demand is counted when every engine was scraped anew, which is two intervals.
    """
    interval = settings.prometheus.scrape_interval_seconds
    limit = catalogue.control.stale_after_seconds
    intervals = 1 if settings.has_gateway else 2
    needed = intervals * interval + settings.ticks.ingest_seconds
    if settings.sources.engines is EngineSource.PROMETHEUS and limit < needed:
        log.warning(
            "readings_will_be_stale",
            error=f"prometheus.scrape_interval is {interval:g} s and control.stale_after of the "
            f"catalogue is {limit:g} s, so that no replica may go between scrapes; say at least "
            f"stale_after: {needed:g}s, or scrape more often",
        )


@contextlib.contextmanager
def opened(asked: PrometheusSettings, *, wanted_by: str, clock: Clock) -> "Iterator[PrometheusApi]":
    """The server of these settings. Raises ConfigurationError; `wanted_by` says who asks for it."""
    try:
        from collector.sources.prometheus_api import (  # noqa: PLC0415  see above
            PrometheusAddress,
            PrometheusApi,
        )
    except ImportError as error:
        package = (error.name or "prometheus_api_client").partition(".")[0]
        raise ConfigurationError(
            f"{wanted_by} is prometheus, which needs the Python package {package!r}, not "
            "installed here; install it with: pip install 'foresail[prometheus]'"
        ) from error
    if asked.url is None:
        raise ConfigurationError(f"{wanted_by} is prometheus, but prometheus.url is not set")
    for key, path in (("bearer_token_file", asked.bearer_token_path), ("ca_file", asked.ca_path)):
        _check_readable(path, key=key)
    api = PrometheusApi(
        PrometheusAddress(
            url=asked.url,
            timeout_seconds=asked.timeout_seconds,
            bearer_token_path=asked.bearer_token_path,
            ca_path=asked.ca_path,
        ),
        clock=clock,
    )
    try:
        yield api
    finally:
        api.close()


def _check_readable(path: Path | None, *, key: str) -> None:
    try:
        if path is not None:
            path.open("rb").close()
    except OSError as error:
        raise ConfigurationError(
            f"prometheus.{key} is {path}, which cannot be read: {error.strerror}; make it readable "
            "for this user, or change the path"
        ) from error

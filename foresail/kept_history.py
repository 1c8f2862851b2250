"""The history the settings ask for, open for as long as the controller runs.

In: settings. Out: a `HistoryStore`, and its upkeep. Called by `wiring`, which would grow too long with
it; opens and tidies day files, reads the past out of Prometheus, tells of trouble, judges nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from structlog.typing import FilteringBoundLogger

from collector.clock import Clock
from collector.errors import SourceError
from collector.history.backfilled import BackfilledHistory
from collector.history.day_files import COARSER, DayFileHistory
from collector.history.memory import MemoryHistoryStore
from collector.history.past import SCRAPED_BINS_SECONDS, ScrapedPast, StoredPast
from collector.history.prometheus import GatewayScrapes
from collector.model.catalogue import Catalogue
from collector.model.history import Resolution
from collector.model.ids import ServiceName
from collector.ports import HistoryStore, PastReader, RangeReader
from foresail.settings import HistoryKind, Settings

TIDY_INTERVAL_SECONDS = 60.0
BACKFILL_INTERVAL_SECONDS = 15.0

KeptHistory = MemoryHistoryStore | DayFileHistory | BackfilledHistory
OpenRanges = Callable[[], AbstractContextManager[RangeReader]]


@contextlib.contextmanager
def kept_history(
    settings: Settings,
    *,
    catalogue: Callable[[], Catalogue],
    open_ranges: OpenRanges,
    log: FilteringBoundLogger,
) -> Iterator[KeptHistory]:
    """The store, whose open bin is written at the end. Raises SourceError and ConfigurationError."""
    kept = settings.history
    finest = Resolution(bin_seconds=kept.bin_seconds, keep_seconds=kept.keep_seconds)
    match kept.kind:
        case HistoryKind.MEMORY:
            yield MemoryHistoryStore(
                bin_seconds=finest.bin_seconds, keep_seconds=finest.keep_seconds
            )
        case HistoryKind.DAY_FILES:
            store = DayFileHistory(
                settings.history_path,
                finest=finest,
                max_bytes=kept.max_bytes,
                report=lambda line: log.warning("history_trouble", error=line),
            )
            try:
                yield store
            finally:
                store.close()
        case HistoryKind.PROMETHEUS:
            asked = settings.prometheus
            with open_ranges() as ranges:
                yield BackfilledHistory(
                    ranges,
                    resolutions=(finest, *COARSER),
                    scraped=GatewayScrapes(
                        interval_seconds=asked.scrape_interval_seconds, match=asked.gateway_match
                    ),
                    catalogue=catalogue,
                    report=lambda line: log.warning("history_trouble", error=line),
                )


@contextlib.contextmanager
def kept_past(
    settings: Settings,
    *,
    history: HistoryStore,
    catalogue: Callable[[], Catalogue],
    open_ranges: OpenRanges,
) -> Iterator[PastReader | None]:
    """What tells the days before the start; None where nothing does.

    With a reader of its own, as one answers one question at a time. Raises ConfigurationError.
    """
    asked = settings.prometheus
    match settings.history.kind:
        case HistoryKind.MEMORY:
            yield None
        case HistoryKind.DAY_FILES:
            yield StoredPast(history)
        case HistoryKind.PROMETHEUS if 2 * asked.scrape_interval_seconds > SCRAPED_BINS_SECONDS[-1]:
            yield None
        case HistoryKind.PROMETHEUS:
            scraped = GatewayScrapes(
                interval_seconds=asked.scrape_interval_seconds, match=asked.gateway_match
            )
            with open_ranges() as ranges:
                yield ScrapedPast(ranges, scraped=scraped, catalogue=catalogue)


async def keep_tidy(history: HistoryStore, *, clock: Clock, log: FilteringBoundLogger) -> None:
    """Compacts and shortens day files from time to time, until cancelled."""
    while isinstance(history, DayFileHistory):
        await clock.sleep(TIDY_INTERVAL_SECONDS)
        try:
            await asyncio.to_thread(history.tidy)
        except SourceError as error:  # a full disk, say: tried again
            log.warning("history_trouble", error=str(error))


async def keep_backfilled(
    history: HistoryStore,
    *,
    catalogue: Callable[[], Catalogue],
    clock: Clock,
    log: FilteringBoundLogger,
) -> None:
    """Reads the past of services out of Prometheus when they are new here, until cancelled.

    What cannot be read is told when it changes, and tried again.
    """
    known: frozenset[ServiceName] = frozenset()
    told: tuple[str, ...] = ()
    while isinstance(history, BackfilledHistory):
        services = frozenset(each.name for each in catalogue().services)
        if not services <= known:
            errors = await asyncio.to_thread(
                history.backfill,
                services=sorted(services),
                now_timestamp_seconds=clock.timestamp_seconds(),
            )
            known = known if errors else services
            for error in errors if errors != told else ():
                log.warning("history_trouble", error=error)
            if not errors:
                log.info("history_backfilled", services=len(services))
            told = errors
        await clock.sleep(BACKFILL_INTERVAL_SECONDS)

"""The history the settings ask for, open for as long as the controller runs.

In: settings. Out: a `HistoryStore`. Called by `wiring`, which would grow too long with it; opens and
tidies day files and tells of damage, judges nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterator

from structlog.typing import FilteringBoundLogger

from collector.clock import Clock
from collector.errors import SourceError
from collector.history.day_files import DayFileHistory
from collector.history.memory import MemoryHistoryStore
from collector.model.history import Resolution
from collector.ports import HistoryStore
from foresail.settings import HistoryKind, Settings

TIDY_INTERVAL_SECONDS = 60.0

KeptHistory = MemoryHistoryStore | DayFileHistory


@contextlib.contextmanager
def kept_history(settings: Settings, *, log: FilteringBoundLogger) -> Iterator[KeptHistory]:
    """The store, whose open bin is written at the end. Raises SourceError."""
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


async def keep_tidy(history: HistoryStore, *, clock: Clock, log: FilteringBoundLogger) -> None:
    """Compacts and shortens day files from time to time, until cancelled."""
    while isinstance(history, DayFileHistory):
        await clock.sleep(TIDY_INTERVAL_SECONDS)
        try:
            await asyncio.to_thread(history.tidy)
        except SourceError as error:  # a full disk, say: tried again
            log.warning("history_trouble", error=str(error))

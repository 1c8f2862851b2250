"""Days of the past out of a history: coarse bins of a store, or what Prometheus has scraped.

In: a stretch of time. Out: its bins, as fine as they are still kept, and what went wrong. Behind the
port `PastReader`, for `foresail.past_reading`. It must not keep anything, nor judge what it reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from collector.history.backfilled import fine_cells
from collector.history.prometheus import GatewayScrapes, PrometheusHistory
from collector.model.catalogue import Catalogue
from collector.model.history import History, Resolution, Signal
from collector.model.ids import ServiceName
from collector.ports import HistoryStore, PastAnswer, RangeReader

SCRAPED_BINS_SECONDS: Final = (120.0, 300.0, 600.0)
"""The narrowest that holds two scrapes is asked for: days are compared in bins of two minutes."""
LONGEST_SECONDS: Final = 400 * 86_400.0
DEMAND: Final = frozenset(
    {
        Signal.ARRIVED_REQUESTS,
        Signal.ADMITTED_PROMPT_TOKENS,
        Signal.COMPLETED_REQUESTS,
        Signal.OUTPUT_TOKENS,
    }
)
"""What a demand series is made from where nobody but the gateway is scraped."""


class StoredPast:
    """The coarse bins of a store; of one that has none, the finest."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    def read_past(
        self,
        *,
        services: Sequence[ServiceName],
        begin_timestamp_seconds: float,
        end_timestamp_seconds: float,
        now_timestamp_seconds: float,
    ) -> PastAnswer:
        """See `PastReader`. What a store cannot read it reports itself."""
        coarse = self._store.resolutions[1:] or self._store.resolutions
        age = now_timestamp_seconds - begin_timestamp_seconds
        width = next((each for each in coarse if each.keep_seconds >= age), coarse[-1]).bin_seconds
        return PastAnswer(
            history=self._store.history(
                services=services,
                window_seconds=end_timestamp_seconds - begin_timestamp_seconds,
                now_timestamp_seconds=end_timestamp_seconds - width / 2,  # its last bin is the last
                bin_seconds=width,
            )
        )


class ScrapedPast:
    """What a Prometheus has scraped of the gateways; a bin that was not scraped throughout has no cover."""

    def __init__(
        self,
        reader: RangeReader,
        *,
        scraped: GatewayScrapes,
        catalogue: Callable[[], Catalogue],
    ) -> None:
        """Raises ValueError where scrapes are more than five minutes apart."""
        self._errors: list[str] = []
        self._width = _narrowest(scraped)
        self._history = PrometheusHistory(
            reader,
            resolutions=(Resolution(bin_seconds=self._width, keep_seconds=LONGEST_SECONDS),),
            scraped=replace(scraped, signals=DEMAND),
            catalogue=catalogue,
            report=self._errors.append,
        )

    def read_past(
        self,
        *,
        services: Sequence[ServiceName],
        begin_timestamp_seconds: float,
        end_timestamp_seconds: float,
        now_timestamp_seconds: float,
    ) -> PastAnswer:
        """See `PastReader`."""
        self._errors.clear()
        found = self._history.history(
            services=services,
            window_seconds=end_timestamp_seconds - begin_timestamp_seconds,
            now_timestamp_seconds=end_timestamp_seconds - self._width / 2,
        )
        whole = History(
            services=found.services,
            bin_seconds=found.bin_seconds,
            end_timestamp_seconds=found.end_timestamp_seconds,
            signals=fine_cells(found, factor=1).signals(),
        )
        return PastAnswer(history=whole, errors=tuple(self._errors))


def _narrowest(scraped: GatewayScrapes) -> float:
    for width in SCRAPED_BINS_SECONDS:
        if width >= 2 * scraped.interval_seconds:
            return width
    raise ValueError(
        f"past days are told by bins of at most {SCRAPED_BINS_SECONDS[-1]:g} s with two scrapes each, got "
        f"one scrape in {scraped.interval_seconds:g} s"
    )

"""One metric page after `normalise`: a reading for every canonical signal its contract names."""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.model.contract import CanonicalSignal, SleepState
from collector.model.histogram import Histogram
from collector.model.reading import Fresh, Missing, MissingReason, Number, Reading, Stale
from collector.model.snapshot import Problem

ReadingKey = tuple[CanonicalSignal, tuple[str, ...]]
"""The signal and the values of the labels its rule keeps, in the rule's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageIdentity:
    """Whose page it is."""

    key: str  # a replica id, or "gateway": one target each, so labels need not say who it is
    source: str  # goes into every reading, e.g. "engine:llama_cpp"
    engine_version: tuple[int, ...] | None = None  # None: nobody could say


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReadings:
    """What one page says."""

    source: str
    numbers: Mapping[ReadingKey, Number]
    histograms: Mapping[ReadingKey, Reading[Histogram]]
    sleep_state: Reading[SleepState]
    config_hash: Reading[str]  # of the settings in its info series; what was measured is left out
    absent: Mapping[CanonicalSignal, Missing]  # signals of which nothing is on the page
    unknown_series_count: int  # names the contract does not know, dropped ones left out
    problems: tuple[Problem, ...]

    def number(self, signal: CanonicalSignal, *labels: str) -> Number:
        """The reading under these label values; `Missing` where the page has none."""
        return self.numbers.get((signal, labels)) or self._absence(signal)

    def histogram(self, signal: CanonicalSignal, *labels: str) -> Reading[Histogram]:
        """The histogram under these label values; `Missing` where the page has none."""
        return self.histograms.get((signal, labels)) or self._absence(signal)

    def numbers_by_label(self, signal: CanonicalSignal) -> Reading[Mapping[str, float]]:
        """{value of the one label it keeps: value}; one part that is no number leaves nothing."""
        found: dict[str, float] = {}
        latest: Fresh[float] | Stale[float] | None = None
        for (each, labels), reading in self.numbers.items():
            if each is not signal:
                continue
            if isinstance(reading, Missing):
                return reading
            found[",".join(labels)] = reading.value
            latest = reading
        if latest is None:
            return self._absence(signal)
        return Fresh(
            value=found,
            observed_timestamp_seconds=latest.observed_timestamp_seconds,
            source=self.source,
        )

    def _absence(self, signal: CanonicalSignal) -> Missing:
        series_absent = Missing(reason=MissingReason.SERIES_ABSENT, source=self.source)
        return self.absent.get(signal, series_absent)

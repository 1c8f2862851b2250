"""Values of one page and their recipe in, `PageReadings` out. Last step of `normalise`; pure.

Every signal of the contract ends as a reading or as `Missing` with a reason. While an engine sleeps
its gauges are `Missing(ASLEEP)`: they show requests that wait for nobody as 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from collector.model.contract import CanonicalSignal, Contract, EngineSignal, SleepState
from collector.model.page import PageIdentity, PageReadings, ReadingKey
from collector.model.reading import Fresh, Missing, MissingReason, Reading
from collector.model.samples import Samples
from collector.model.snapshot import Problem
from collector.normalise.exposition import parse_exposition
from collector.normalise.histograms import combined_histograms
from collector.normalise.numbers import combined_numbers
from collector.normalise.points import Cell, Combine
from collector.normalise.recipe import Outline, Recipe, page_recipe
from collector.normalise.states import combined_states

V = TypeVar("V")


class ReadPage(Protocol):
    """From the text of a page to readings: `read_page`, or a `PageReader` that remembers outlines."""

    def __call__(
        self,
        text: str,
        *,
        contract: Contract,
        identity: PageIdentity,
        observed_timestamp_seconds: float,
    ) -> PageReadings:
        """A reading for every signal the contract names. Raises nothing."""
        ...


def read_page(
    text: str,
    *,
    contract: Contract,
    identity: PageIdentity,
    observed_timestamp_seconds: float,
) -> PageReadings:
    """A reading for every signal the contract names. Raises nothing, whatever the page holds."""
    return page_readings(
        parse_exposition(text, source=identity.key, dropped_suffixes=contract.dropped_suffixes),
        contract=contract,
        identity=identity,
        observed_timestamp_seconds=observed_timestamp_seconds,
    )


def page_readings(
    samples: Samples,
    *,
    contract: Contract,
    identity: PageIdentity,
    observed_timestamp_seconds: float,
) -> PageReadings:
    """A reading for every signal the contract names. Raises nothing, whatever the page holds."""
    outline = Outline(
        series=[(name, each.labels) for name, found in samples.by_name.items() for each in found],
        damaged=samples.damaged,
        contradicted=samples.contradicted,
    )
    page = recipe_readings(
        page_recipe(outline, contract=contract, engine_version=identity.engine_version),
        values=[each.value for found in samples.by_name.values() for each in found],
        identity=identity,
        observed_timestamp_seconds=observed_timestamp_seconds,
    )
    return replace(page, problems=(*samples.problems, *page.problems))


def recipe_readings(
    recipe: Recipe,
    *,
    values: Sequence[float],
    identity: PageIdentity,
    observed_timestamp_seconds: float,
) -> PageReadings:
    """The readings of the page with these values; `values` are in the order of the recipe's outline."""
    maker = _Maker(values, identity, observed_timestamp_seconds)
    numbers = maker.readings(recipe.numbers, combined_numbers)
    histograms = maker.readings(recipe.histograms, combined_histograms)
    states = maker.readings(recipe.states, combined_states)
    absent = {signal: maker.missing(reason) for signal, reason in recipe.absent.items()}
    sleep_state = (
        states.get((EngineSignal.SLEEP_STATE, ()))
        or absent.get(EngineSignal.SLEEP_STATE)
        or maker.missing(MissingReason.CANNOT_SEE)
    )
    hidden = _instead_of_gauges(sleep_state, source=identity.source)
    if hidden is not None:
        numbers.update((key, hidden) for key in numbers if key[0] in recipe.gauges)
    return PageReadings(
        source=identity.source,
        numbers=numbers,
        histograms=histograms,
        sleep_state=sleep_state,
        config_hash=maker.told(recipe.config_hash),
        absent=absent,
        unknown_series_count=recipe.unknown_series_count,
        problems=tuple(maker.problems),
    )


def _instead_of_gauges(sleep_state: Reading[SleepState], *, source: str) -> Missing | None:
    """What to say instead of every gauge; None when the engine is awake or never says."""
    match sleep_state:
        case Fresh(value=SleepState.AWAKE):
            return None
        case Missing(reason=MissingReason.CANNOT_SEE | MissingReason.SERIES_ABSENT):
            return None
        case Missing() as unknown:
            return unknown
        case _:
            return Missing(reason=MissingReason.ASLEEP, source=source)


class _Maker:
    """Makes readings of cells; lives for one call."""

    def __init__(self, values: Sequence[float], identity: PageIdentity, observed: float) -> None:
        self.problems: dict[Problem, None] = {}
        self._values = values
        self._identity = identity
        self._observed = observed

    def missing(self, reason: MissingReason) -> Missing:
        return Missing(reason=reason, source=self._identity.source)

    def told(self, value: V | MissingReason) -> Reading[V]:
        """A reading of something that stands on the page; its absence is no problem."""
        if isinstance(value, MissingReason):
            return self.missing(value)
        return Fresh(
            value=value, observed_timestamp_seconds=self._observed, source=self._identity.source
        )

    def readings(
        self, cells: Sequence[Cell[V]], combine: Combine[V]
    ) -> dict[ReadingKey, Reading[V]]:
        found: dict[ReadingKey, Reading[V]] = {}
        for cell in cells:
            value = cell.value(self._values, combine)
            found[cell.key] = self.told(value)
            if isinstance(value, MissingReason):
                self._report(cell.key[0], value)
        return found

    def _report(self, signal: CanonicalSignal, reason: MissingReason) -> None:
        message = f"{signal.value} cannot be used: {_WHY[reason]}"
        self.problems[Problem(source=self._identity.key, message=message)] = None


_WHY: Mapping[MissingReason, str] = {
    MissingReason.NOT_A_NUMBER: "a value is NaN, infinite, negative or unreadable",
    MissingReason.CONTRADICTED: "its series contradict each other",
    MissingReason.SERIES_ABSENT: "a part of its series is absent",
}

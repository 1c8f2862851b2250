"""What to ask Prometheus for each signal of the history: pure text, made from the gateway's series.

The same rules as `collector.increments`: requests that were shed or failed are judged, and bad, for
time to first token and availability.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collector.model.catalogue import Catalogue, Sli
from collector.model.history import Signal
from collector.model.ids import ServiceName

_ARRIVED = "foresail_requests_arrived_total"
_FINISHED = "foresail_requests_finished_total"
_PENDING = ("foresail_requests_in_flight", "foresail_requests_held")

_COUNTERS: Mapping[Signal, tuple[str, tuple[str, ...]]] = {
    Signal.ARRIVED_REQUESTS: (_ARRIVED, ()),
    Signal.COMPLETED_REQUESTS: (_FINISHED, ("completed",)),
    Signal.FAILED_REQUESTS: (_FINISHED, ("failed",)),
    Signal.ABORTED_REQUESTS: (_FINISHED, ("aborted",)),
    Signal.SHED_REQUESTS: (_FINISHED, ("shed",)),
    Signal.ADMITTED_PROMPT_TOKENS: ("foresail_prompt_tokens_admitted_total", ()),
    Signal.OUTPUT_TOKENS: ("foresail_output_tokens_total", ()),
    Signal.AVAILABILITY_GOOD_EVENTS: (_FINISHED, ("completed",)),
    Signal.AVAILABILITY_JUDGED_EVENTS: (_FINISHED, ("completed", "failed", "shed")),
}
"""{signal: (series, outcomes that count)}; no outcomes: all."""

_LATENCIES: Mapping[Sli, tuple[str, Signal, Signal]] = {
    Sli.TIME_TO_FIRST_TOKEN: (
        "foresail_time_to_first_token_seconds",
        Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS,
        Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS,
    ),
    Sli.INTER_TOKEN_LATENCY: (
        "foresail_inter_token_latency_seconds",
        Signal.INTER_TOKEN_LATENCY_GOOD_EVENTS,
        Signal.INTER_TOKEN_LATENCY_JUDGED_EVENTS,
    ),
    Sli.END_TO_END_LATENCY: (
        "foresail_end_to_end_latency_seconds",
        Signal.END_TO_END_LATENCY_GOOD_EVENTS,
        Signal.END_TO_END_LATENCY_JUDGED_EVENTS,
    ),
}
"""{SLI: (series, good events, judged events)}"""

_AVAILABILITY = (Signal.AVAILABILITY_GOOD_EVENTS, Signal.AVAILABILITY_JUDGED_EVENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One query that tells a signal of some services, by service."""

    text: str
    services: frozenset[ServiceName] | None = None  # None: of all
    is_level: bool = False  # a mean over the bin, not a sum
    maximum: str | None = None  # the query of the largest value; None: the same


class SignalQueries:
    """The queries for bins of one width."""

    def __init__(
        self, *, bin_seconds: float, match: Mapping[str, str], catalogue: Catalogue
    ) -> None:
        self._range = f"[{bin_seconds:g}s]" if bin_seconds < 1e5 else f"[{round(bin_seconds)}s]"
        self._match = match
        self._thresholds = _thresholds(catalogue)

    def scrapes(self) -> str:
        """How often each service was scraped within the bin."""
        return f"max by (service) (count_over_time({self._selected(_ARRIVED)}{self._range}))"

    def sums(self, signal: Signal) -> Iterator[Expression]:
        """What tells the signal; nothing for an objective that nobody has."""
        if signal is Signal.PENDING_REQUESTS:
            yield Expression(
                text=self._pending("avg_over_time"),
                is_level=True,
                maximum=self._pending("max_over_time"),
            )
        elif signal in _COUNTERS:
            series, outcomes = _COUNTERS[signal]
            of_all = None if signal not in _AVAILABILITY else self._with(Sli.AVAILABILITY, None)
            yield Expression(text=self._increase(series, outcomes=outcomes), services=of_all)
        else:
            yield from self._latency(signal)

    def _latency(self, signal: Signal) -> Iterator[Expression]:
        for sli, (series, good, judged) in _LATENCIES.items():
            for threshold in self._thresholds[sli] if signal in (good, judged) else ():
                services = self._with(sli, threshold)
                if signal is good and threshold is not None:
                    yield Expression(text=self._at_most(series, threshold), services=services)
                elif signal is judged:
                    yield Expression(text=self._judged(sli, series), services=services)

    def _judged(self, sli: Sli, series: str) -> str:
        counted = self._increase(f"{series}_count")
        if sli is not Sli.TIME_TO_FIRST_TOKEN:
            return counted
        return f"{counted} + {self._increase(_FINISHED, outcomes=('failed', 'shed'))}"

    def _at_most(self, series: str, threshold: float) -> str:
        spellings = {f"{threshold:g}", repr(threshold)}
        edges = "|".join(sorted(each.replace(".", "[.]").replace("+", "[+]") for each in spellings))
        return self._increase(f"{series}_bucket", more=(f'le=~"{edges}"',))

    def _pending(self, function: str) -> str:
        return " + ".join(
            f"sum by (service) ({function}({self._selected(series)}{self._range}))"
            for series in _PENDING
        )

    def _increase(
        self, series: str, *, outcomes: tuple[str, ...] = (), more: tuple[str, ...] = ()
    ) -> str:
        chosen = (f'outcome=~"{"|".join(outcomes)}"',) if outcomes else ()
        selected = self._selected(series, more=(*chosen, *more))
        return f"sum by (service) (increase({selected}{self._range}))"

    def _selected(self, series: str, *, more: tuple[str, ...] = ()) -> str:
        own = (f'{name}="{_escaped(value)}"' for name, value in sorted(self._match.items()))
        pairs = ",".join((*own, *more))
        return f"{series}{{{pairs}}}" if pairs else series

    def _with(self, sli: Sli, threshold: float | None) -> frozenset[ServiceName]:
        return frozenset(self._thresholds[sli].get(threshold, ()))


def _thresholds(catalogue: Catalogue) -> Mapping[Sli, dict[float | None, list[ServiceName]]]:
    """{SLI: {threshold: services}} of the first objective of each SLI, as `increments` counts."""
    found: dict[Sli, dict[float | None, list[ServiceName]]] = {
        sli: defaultdict(list) for sli in Sli
    }
    for service in catalogue.services:
        first = {each.sli: each.threshold_seconds for each in reversed(service.objectives)}
        for sli, threshold in first.items():
            found[sli][threshold].append(service.name)
    return found


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""Whether a page can judge objectives: is there a histogram, and does a bucket end at the threshold. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from collector.model.catalogue import Sli
from collector.model.contract import (
    AdviceTopic,
    CanonicalSignal,
    EngineSignal,
    GatewaySignal,
    RouterSignal,
)
from collector.model.histogram import Histogram, good_count
from collector.model.reading import Fresh
from foresail.doctor.finding import Status
from foresail.doctor.targets.report import FindingKind, TargetFinding, warning
from foresail.doctor.targets.subject import PageSubject

Thresholds = Mapping[Sli, Sequence[float]]
"""{SLI: thresholds in seconds}"""

_SIGNALS: Final[Mapping[Sli, tuple[CanonicalSignal, ...]]] = {
    Sli.TIME_TO_FIRST_TOKEN: (
        EngineSignal.TIME_TO_FIRST_TOKEN,
        RouterSignal.MODEL_TIME_TO_FIRST_TOKEN,
        GatewaySignal.TIME_TO_FIRST_TOKEN,
    ),
    Sli.INTER_TOKEN_LATENCY: (
        EngineSignal.INTER_TOKEN_LATENCY,
        RouterSignal.MODEL_INTER_TOKEN_LATENCY,
        GatewaySignal.INTER_TOKEN_LATENCY,
    ),
    Sli.END_TO_END_LATENCY: (
        EngineSignal.END_TO_END_LATENCY,
        RouterSignal.MODEL_END_TO_END_LATENCY,
        GatewaySignal.END_TO_END_LATENCY,
    ),
}
_MOVE: Final = "move the objective to an edge, or send the traffic through Foresail's gateway"


def check_objectives(
    subject: PageSubject, *, thresholds: Thresholds, has_gateway: bool
) -> Iterator[TargetFinding]:
    """What this page cannot judge exactly; with a gateway that measures, a note only."""
    for sli, seconds in thresholds.items():
        for finding in _of_sli(subject, sli=sli, thresholds_seconds=seconds):
            if not has_gateway:
                yield finding
            elif finding.kind is FindingKind.TOO_COARSE:
                yield replace(
                    finding,
                    status=Status.OK,
                    message=f"{finding.message}; the gateway measures it exactly",
                    next_step=None,
                    disables=None,
                )


def _of_sli(
    subject: PageSubject, *, sli: Sli, thresholds_seconds: Sequence[float]
) -> Iterator[TargetFinding]:
    signals = _SIGNALS.get(sli, ())
    blind = [each for each in signals if each in subject.contract.cannot_see]
    if blind:
        yield warning(
            FindingKind.NOT_MEASURED,
            f"{sli.value}: {subject.contract.cannot_see[blind[0]]}",
            signal=blind[0].value,
            next_step="send the traffic through Foresail's gateway, which measures it",
            disables=f"from this page alone, objectives on {sli.value} are not judged",
        )
    for histogram in _histograms(subject, signals)[:1]:
        for threshold in thresholds_seconds:
            if good_count(histogram, threshold=threshold) is None:
                yield _too_coarse(subject, sli=sli, threshold=threshold, histogram=histogram)


def _histograms(subject: PageSubject, signals: Sequence[CanonicalSignal]) -> list[Histogram]:
    return [
        reading.value
        for (signal, _), reading in subject.readings.histograms.items()
        if signal in signals and isinstance(reading, Fresh)
    ]


def _too_coarse(
    subject: PageSubject, *, sli: Sli, threshold: float, histogram: Histogram
) -> TargetFinding:
    edges = histogram.upper_bounds
    index = bisect_left(edges, threshold)
    near = [f"{edge:g} s" for edge in edges[max(0, index - 1) : index + 1]]
    around = f"the nearest are {' and '.join(near)}" if near else "the page has none at all"
    return warning(
        FindingKind.TOO_COARSE,
        f"{sli.value}: no bucket ends at {threshold:g} s, {around}",
        signal=sli.value,
        next_step=subject.contract.advice_on(AdviceTopic.BUCKETS, version=subject.version.exact)
        or _MOVE,
        disables="the share of good requests cannot be counted, only guessed between two edges",
    )

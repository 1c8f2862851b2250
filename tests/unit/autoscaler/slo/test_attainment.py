"""Share of good events since the gateway began to count."""

from dataclasses import replace

import pytest

from autoscaler.slo.attainment import attainment_ratio, worst_attainment_ratio
from collector.model.catalogue import Objective, Sli
from collector.model.histogram import Histogram
from collector.model.reading import Fresh, Number, Reading
from collector.model.snapshot import ServiceView
from support.builders import NOW, UNREAD, make_service, make_view, stale

SECONDS = Histogram(upper_bounds=(0.5, 1.0), counts=(60.0, 20.0, 20.0), sum=80.0)
EMPTY = Histogram(upper_bounds=(0.5, 1.0), counts=(0.0, 0.0, 0.0), sum=0.0)


def objective(sli: Sli, *, threshold: float | None = 1.0) -> Objective:
    return Objective(sli=sli, threshold_seconds=threshold, target_ratio=0.9, window_seconds=3600)


TTFT = objective(Sli.TIME_TO_FIRST_TOKEN)
ITL = objective(Sli.INTER_TOKEN_LATENCY, threshold=0.5)
END_TO_END = objective(Sli.END_TO_END_LATENCY)
AVAILABILITY = objective(Sli.AVAILABILITY, threshold=None)


def view_of(
    *,
    seconds: Histogram | Reading[Histogram] = SECONDS,
    completed: "float | Number" = 100,
    failed: "float | Number" = 0,
    shed: "float | Number" = 0,
) -> ServiceView:
    view = make_view(
        completed_requests_total=completed, failed_requests_total=failed, shed_requests_total=shed
    )
    reading = (
        Fresh(value=seconds, observed_timestamp_seconds=NOW, source="test")
        if isinstance(seconds, Histogram)
        else seconds
    )
    latency = replace(
        view.latency,
        time_to_first_token=reading,
        inter_token_latency=reading,
        end_to_end_latency=reading,
    )
    return replace(view, latency=latency)


@pytest.mark.parametrize(
    ("asked", "view", "expected"),
    [
        pytest.param(TTFT, view_of(), 0.8, id="first-token"),
        pytest.param(TTFT, view_of(failed=50, shed=50), 0.4, id="refused-requests-are-misses"),
        pytest.param(TTFT, view_of(seconds=EMPTY, shed=5), 0.0, id="all-were-refused"),
        pytest.param(TTFT, view_of(seconds=EMPTY), None, id="nothing-was-judged"),
        pytest.param(TTFT, view_of(seconds=UNREAD), None, id="not-measured"),
        pytest.param(TTFT, view_of(shed=UNREAD), None, id="refused-unknown"),
        pytest.param(TTFT, view_of(failed=stale(100.0)), 0.4, id="a-stale-count-is-the-last-known"),
        pytest.param(
            objective(Sli.TIME_TO_FIRST_TOKEN, threshold=0.7), view_of(), None, id="no-bucket-edge"
        ),
        pytest.param(ITL, view_of(shed=100), 0.6, id="between-tokens-only-answers-count"),
        pytest.param(END_TO_END, view_of(failed=UNREAD), 0.8, id="end-to-end-likewise"),
        pytest.param(AVAILABILITY, view_of(failed=20, shed=5), 0.8, id="availability"),
        pytest.param(AVAILABILITY, view_of(completed=0), None, id="no-request-at-all"),
        pytest.param(AVAILABILITY, view_of(completed=0, shed=3), 0.0, id="none-was-answered"),
        pytest.param(AVAILABILITY, view_of(completed=UNREAD), None, id="completed-unknown"),
        pytest.param(
            AVAILABILITY, view_of(seconds=UNREAD), 1.0, id="availability-needs-no-latency"
        ),
    ],
)
def test_attainment(*, asked: Objective, view: ServiceView, expected: float | None) -> None:
    found = attainment_ratio(asked, view=view)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        pytest.param((TTFT, AVAILABILITY), 0.8, id="the-lowest"),
        pytest.param((ITL, TTFT), 0.6, id="the-lowest-wherever-it-stands"),
        pytest.param(
            (objective(Sli.TIME_TO_FIRST_TOKEN, threshold=0.7), AVAILABILITY),
            1.0,
            id="what-was-not-judged-is-left-out",
        ),
        pytest.param((), None, id="no-objective"),
    ],
)
def test_worst_attainment(*, objectives: tuple[Objective, ...], expected: float | None) -> None:
    service = make_service(objectives=objectives)
    assert worst_attainment_ratio(service, view=view_of()) == expected

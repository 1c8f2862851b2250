"""From counters of a service and its replicas to rows of the step-time fit."""

from typing import Any

import pytest

from autoscaler.capacity.step_learning import StepLesson, WorkDone, learn_steps
from autoscaler.model.state import ServiceState, StepFit, StepRun, TokenGapTotals
from collector.model.histogram import Histogram
from collector.model.reading import Fresh, Stale
from collector.model.snapshot import ServiceView
from support.builders import NOW, UNREAD, make_view, with_latency

BEFORE = ServiceState(
    token_gap_totals=TokenGapTotals(token_gaps=1000.0, token_gap_seconds=20.0),
    step_run=StepRun(replica_seconds=30.0, token_gaps=10.0, token_gap_seconds=0.5),
)
DONE = WorkDone(replica_seconds=30.0, prompt_tokens=3000.0, output_tokens=12_000.0)


def seen(gaps: float, seconds: float) -> ServiceView:
    histogram = Histogram(upper_bounds=(0.1,), counts=(gaps, 0.0), sum=seconds)
    reading = Fresh(value=histogram, observed_timestamp_seconds=NOW, source="test")
    return with_latency(make_view(), inter_token_latency=reading)


def lesson(**given: Any) -> StepLesson:
    full = {"view": seen(1600.0, 35.0), "done": DONE, "fit": StepFit(), "slots": 256, **given}
    return learn_steps(full.pop("known", BEFORE), **full)


def test_a_stretch_that_is_long_enough_becomes_a_row_and_a_new_one_begins() -> None:
    learned = lesson()
    assert learned.fit.rows == 1.0
    # 60 s of replicas, 610 gaps of 25.4 ms: 39 steps, 200 output and 50 prompt tokens a second.
    assert learned.fit.moment == pytest.approx((610 / 15.5, 200.0, 50.0, 0.0))
    assert learned.service.step_run == StepRun()
    assert learned.service.token_gap_totals == TokenGapTotals(
        token_gaps=1600.0, token_gap_seconds=35.0
    )


def test_a_short_stretch_goes_on() -> None:
    learned = lesson(done=WorkDone(replica_seconds=15.0, prompt_tokens=1.0, output_tokens=2.0))
    assert learned.fit == StepFit()
    assert learned.service.step_run == StepRun(
        replica_seconds=45.0,
        prompt_tokens=1.0,
        output_tokens=2.0,
        token_gaps=610.0,
        token_gap_seconds=15.5,
    )


STALE = Stale(
    value=Histogram(upper_bounds=(), counts=(1.0,), sum=1.0),
    observed_timestamp_seconds=NOW - 60,
    source="test",
)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"view": None}, id="service-not-read"),
        pytest.param({"view": with_latency(make_view(), inter_token_latency=UNREAD)}, id="no-gaps"),
        pytest.param({"view": with_latency(make_view(), inter_token_latency=STALE)}, id="stale"),
        pytest.param({"done": None}, id="replicas-came-or-went"),
        pytest.param({"view": seen(900.0, 18.0)}, id="counters-restarted"),
        pytest.param({"known": ServiceState()}, id="first-look"),
    ],
)
def test_what_cannot_be_compared_begins_a_new_stretch(given: dict[str, Any]) -> None:
    learned = lesson(**given)
    assert (learned.fit, learned.service.step_run) == (StepFit(), StepRun())


@pytest.mark.parametrize("is_saturated", [True, False])
def test_work_of_replicas_adds_up(*, is_saturated: bool) -> None:
    done = DONE.plus(
        seconds=10.0,
        prompt_tokens=5.0,
        output_tokens=1.0,
        kv_use_ratio=0.5,
        is_saturated=is_saturated,
    )
    assert done == WorkDone(
        replica_seconds=40.0,
        prompt_tokens=3005.0,
        output_tokens=12_001.0,
        kv_replica_seconds=5.0,
        is_saturated=is_saturated,
    )
    again = done.plus(
        seconds=1.0, prompt_tokens=0.0, output_tokens=0.0, kv_use_ratio=None, is_saturated=True
    )
    assert (again.is_saturated, again.kv_replica_seconds) == (is_saturated, None)


def test_a_stretch_in_which_a_kv_cache_was_once_not_told_does_not_tell_it() -> None:
    told = lesson(done=WorkDone(replica_seconds=15.0, kv_replica_seconds=3.0)).service.step_run
    assert told.kv_replica_seconds == 3.0
    untold = lesson(done=WorkDone(replica_seconds=15.0, kv_replica_seconds=None)).service.step_run
    assert untold.kv_replica_seconds is None


def test_time_in_which_not_all_were_saturated_is_told_apart() -> None:
    rested = WorkDone(replica_seconds=15.0, prompt_tokens=1.0, is_saturated=False)
    assert lesson(done=rested).service.step_run.unsaturated_replica_seconds == 15.0

"""Runs of one condition become samples; anything else does not."""

from typing import Any

import pytest

from autoscaler.capacity.learn import Learned, learn, observed
from autoscaler.model.state import VariantState, WorkSample
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView
from support.builders import NOW, UNREAD, make_replica_view, make_variant, stale

VARIANT = make_variant()  # 4 slots; 1 ms per prompt token, 10 ms per output token


def view(at: float, *, prompt: float = 0.0, output: float = 0.0, **fields: Any) -> ReplicaView:
    return make_replica_view(
        at=at, prompt_tokens_total=prompt, output_tokens_total=output, **fields
    )


def taught(*views: ReplicaView) -> Learned:
    """What consecutive views of one replica teach, a run of 30 s being long enough."""
    lesson = Learned(sample=None, variant=VariantState())
    for each in views:
        lesson = learn(
            each,
            variant=VARIANT,
            variant_state=lesson.variant,
            previous=lesson.sample,
            run_seconds=30.0,
        )
    return lesson


def samples(*views: ReplicaView) -> tuple[list[float], list[float]]:
    variant = taught(*views).variant
    return list(variant.saturated_work_ratios), list(variant.unsaturated_work_ratios)


BUSY: dict[str, Any] = {"running_requests": 3.0}  # of 4 slots


def test_a_long_enough_busy_run_is_one_sample() -> None:
    # 30 s: 3,000 prompt tokens (3 s of work) and 2,400 output tokens (24 s): 0.9 per second.
    busy, idle = samples(
        view(NOW, **BUSY),
        view(NOW + 15, prompt=1500.0, output=1200.0, **BUSY),
        view(NOW + 30, prompt=3000.0, output=2400.0, **BUSY),
    )
    assert (busy, idle) == ([pytest.approx(0.9)], [])


def test_a_queue_is_busy_too() -> None:
    busy, _ = samples(
        view(NOW, waiting_requests=1.0), view(NOW + 30, output=3000.0, waiting_requests=1.0)
    )
    assert busy == [pytest.approx(1.0)]


def test_an_idle_run_is_a_lower_bound() -> None:
    assert samples(view(NOW), view(NOW + 30, output=300.0)) == ([], [pytest.approx(0.1)])


@pytest.mark.parametrize(
    "views",
    [
        pytest.param((view(NOW, **BUSY), view(NOW + 15, output=999.0, **BUSY)), id="too-short"),
        pytest.param(
            (view(NOW, **BUSY), view(NOW + 20, **BUSY), view(NOW + 40), view(NOW + 60, **BUSY)),
            id="condition-changed",
        ),
        pytest.param(
            (view(NOW, output=500.0, **BUSY), view(NOW + 40, output=10.0, **BUSY)),
            id="counters-restarted",
        ),
        pytest.param(
            (view(NOW, **BUSY), view(NOW + 20, running_requests=UNREAD), view(NOW + 40, **BUSY)),
            id="a-hole-in-between",
        ),
        pytest.param((view(NOW, **BUSY), view(NOW, output=9.0, **BUSY)), id="read-twice"),
        pytest.param((view(NOW, **BUSY), view(NOW - 60, output=9.0, **BUSY)), id="clock-went-back"),
    ],
)
def test_what_is_no_run_teaches_nothing(views: tuple[ReplicaView, ...]) -> None:
    assert samples(*views) == ([], [])


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(view(NOW, state=ReplicaState.LOADING), id="not-serving"),
        pytest.param(view(NOW, state=ReplicaState.DRAINING), id="draining"),
        pytest.param(view(NOW, running_requests=stale(1.0)), id="stale-gauge"),
        pytest.param(make_replica_view(prompt_tokens_total=UNREAD), id="no-prompt-counter"),
        pytest.param(make_replica_view(output_tokens_total=UNREAD), id="no-output-counter"),
    ],
)
def test_only_a_serving_replica_that_is_read_in_full_starts_a_run(seen: ReplicaView) -> None:
    assert observed(seen, variant=VARIANT) is None


@pytest.mark.parametrize(
    ("running", "waiting", "is_saturated"),
    [
        pytest.param(2.0, 0.0, False, id="half"),
        pytest.param(2.8, 0.0, True, id="seventy-percent"),
        pytest.param(0.0, 1.0, True, id="queue"),
    ],
)
def test_near_saturation_is_a_queue_or_most_slots(
    running: float, waiting: float, is_saturated: bool
) -> None:
    sample = observed(
        view(NOW, running_requests=running, waiting_requests=waiting), variant=VARIANT
    )
    assert isinstance(sample, WorkSample)
    assert sample.is_saturated is is_saturated


@pytest.mark.parametrize("tokens", [1.7e308, 1.1e18, -1.0])
def test_counters_out_of_this_world_teach_nothing(tokens: float) -> None:
    assert observed(view(NOW, prompt=tokens), variant=VARIANT) is None
    assert observed(view(NOW, output=tokens), variant=VARIANT) is None


def test_without_a_prior_there_is_nothing_to_measure_in() -> None:
    lesson = learn(
        view(NOW + 60, output=100.0, **BUSY),
        variant=make_variant(capacity_prior=None),
        variant_state=VariantState(),
        previous=taught(view(NOW, **BUSY)).sample,
        run_seconds=30.0,
    )
    assert lesson.variant == VariantState()

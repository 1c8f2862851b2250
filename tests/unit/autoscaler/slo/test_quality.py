"""What forbids taking something away."""

import pytest

from autoscaler.model.action import Reason
from autoscaler.slo.quality import conservation_error, doubts, unmeasured, unread
from collector.model.reading import Missing, MissingReason, Number
from collector.model.snapshot import ServiceView
from support.builders import NOW, UNREAD, fresh, make_rates, make_replica_view, make_view, stale


def found(view: ServiceView | None, *, now: float = NOW) -> list[tuple[str, str]]:
    return [(reason.value, text) for reason, text in doubts(view, now=now, limit_seconds=20.0)]


def test_sound_numbers_raise_no_doubt() -> None:
    assert found(make_view(held=3, in_flight=5)) == []


def test_a_service_nobody_has_read_is_in_doubt() -> None:
    assert found(None) == [("no_fresh_data", "nothing has been read about this service")]


NEEDED = (
    "arrived_requests_total",
    "admitted_prompt_tokens_total",
    "in_flight_requests",
    "held_requests",
)


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize(
    ("reading", "why"),
    [
        pytest.param(stale(5.0), "stale", id="stale"),
        pytest.param(UNREAD, "source_unreachable", id="missing"),
    ],
)
def test_a_needed_number_that_is_not_fresh_is_named(name: str, reading: Number, why: str) -> None:
    short = {"in_flight_requests": "in_flight", "held_requests": "held"}.get(name, name)
    assert found(make_view(**{short: reading})) == [("no_fresh_data", f"{name} is {why} at test")]


def test_numbers_that_have_become_old_since_the_snapshot_are_stale() -> None:
    assert [reason for reason, _ in found(make_view(), now=NOW + 21)] == ["no_fresh_data"] * 4
    assert found(make_view(), now=NOW + 20) == []


@pytest.mark.parametrize(
    ("arrived", "is_doubt"),
    [
        pytest.param(100.0, False, id="exact"),
        pytest.param(103.0, False, id="within-the-slack"),
        pytest.param(97.0, False, id="within-the-slack-below"),
        pytest.param(104.0, True, id="lost-requests"),
        pytest.param(96.0, True, id="requests-from-nowhere"),
    ],
)
def test_arrivals_must_be_accounted_for(arrived: float, is_doubt: bool) -> None:
    reasons = [reason for reason, _ in found(make_view(arrived_requests_total=arrived))]
    assert reasons == (["demand_not_conserved"] if is_doubt else [])


def test_the_sentence_says_by_how_much() -> None:
    assert found(make_view(arrived_requests_total=109.0)) == [
        (
            "demand_not_conserved",
            "arrived requests differ by +9 from finished, held and in-flight ones",
        )
    ]


def test_all_ways_a_request_can_end_are_counted() -> None:
    view = make_view(
        arrived_requests_total=100 + 1 + 2 + 3 + 4 + 5,
        failed_requests_total=1,
        aborted_requests_total=2,
        shed_requests_total=3,
        in_flight=4,
        held=5,
    )
    assert conservation_error(view) == 0.0


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert conservation_error(make_view(failed_requests_total=UNREAD)) is None


def test_history_that_tells_nothing_is_a_doubt_too() -> None:
    assert unmeasured(demand=make_rates(0.0), burn_rate=0.0) == ()
    assert unmeasured(demand=None, burn_rate=None) == (
        (Reason.NO_FRESH_DATA, "no demand was measured lately"),
        (Reason.NO_FRESH_DATA, "an objective was not measured lately"),
    )


def test_a_number_from_before_the_clock_went_back_is_no_younger_than_now() -> None:
    # Stamped an hour ahead: the clock was set back and the source has been silent since.
    view = make_view(held=fresh(0.0, at=NOW + 3600))
    assert found(view) == [("no_fresh_data", "held_requests is stale at test")]


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        pytest.param(fresh(2.0), [], id="fresh"),
        pytest.param(stale(2.0), ["the engine of r1 is stale at test"], id="stale"),
        pytest.param(
            fresh(2.0, at=NOW - 21),
            ["the engine of r1 is stale at test"],
            id="fresh when it was read",
        ),
        pytest.param(UNREAD, ["the engine of r1 is source_unreachable at test"], id="unreachable"),
        pytest.param(
            Missing(reason=MissingReason.CANNOT_SEE, source="test"),
            [],
            id="an engine without metrics",
        ),
        pytest.param(
            Missing(reason=MissingReason.NOT_READ_YET, source="test"), [], id="not read yet"
        ),
    ],
)
def test_an_engine_that_does_not_answer_is_a_doubt(reading: Number, found: list[str]) -> None:
    views = [make_replica_view("r1", running_requests=reading), make_replica_view("r2")]
    doubts = unread(views, now=NOW, limit_seconds=20.0)
    assert doubts == tuple((Reason.NO_FRESH_DATA, sentence) for sentence in found)

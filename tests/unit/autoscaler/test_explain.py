"""Every decision says why, in a paragraph for a person."""

from dataclasses import replace

import pytest

from autoscaler.explain import BECAUSE, explain
from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.decision import Evidence, unassessed

KNOWN = Evidence(
    supply_replicas=3,
    serving_replicas=2,
    needed_replicas=4,
    demand_requests_per_second=1.5,
    demand_work_ratio=1.25,
    expected_work_ratio=2.5,
    backlog_requests=7.0,
    capacity_low_ratio=0.8,
    capacity_high_ratio=1.2,
    lead_time_seconds=45.0,
    burn_rate=0.5,
    expected_shortfall_ratio_without=0.25,
    expected_shortfall_ratio_with=0.0,
)
UNKNOWN = replace(
    unassessed(why="held_requests is stale at gateway"),
    supply_replicas=1,
    serving_replicas=1,
    lead_time_seconds=60.0,
    quality=("held_requests is stale at gateway", "no demand was measured lately"),
)
OUT = Scale(variant="small", direction=Direction.OUT, from_replicas=3, to_replicas=4)
IN = Scale(
    variant="small", direction=Direction.IN, from_replicas=3, to_replicas=2, stop_replicas=("r",)
)


def test_every_reason_has_its_own_clause() -> None:
    assert set(BECAUSE) == set(Reason)
    assert len(set(BECAUSE.values())) == len(Reason)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(
    "evidence", [pytest.param(KNOWN, id="known"), pytest.param(UNKNOWN, id="unknown")]
)
def test_every_reason_can_be_told_about_every_evidence(reason: Reason, evidence: Evidence) -> None:
    text = explain(Hold(), reason=reason, evidence=evidence)
    assert text.startswith(f"Hold: {BECAUSE[reason]}. Seen: ")
    assert "\n" not in text
    assert "None" not in text
    assert "nan" not in text


def test_the_events_behind_a_forecast_are_named() -> None:
    announced = ("'Monday opening' in 3 min", "'sale' for 20 min now")
    text = explain(OUT, reason=Reason.CALENDAR_EVENT, evidence=replace(KNOWN, announced=announced))
    assert (
        "Expected within 45 s: work up to 2.50 at 0.80 to 1.20 per replica, because of 'Monday "
        "opening' in 3 min, 'sale' for 20 min now; demand not carried"
    ) in text


def test_an_event_is_named_although_its_work_is_not_known() -> None:
    evidence = replace(UNKNOWN, announced=("'Monday opening' in 3 min",))
    text = explain(OUT, reason=Reason.CALENDAR_EVENT, evidence=evidence)
    assert "is not known yet), but more, because of 'Monday opening' in 3 min." in text


@pytest.mark.parametrize(
    ("action", "headline"),
    [
        pytest.param(OUT, "Scale small out 3 to 4: ", id="out"),
        pytest.param(IN, "Scale small in 3 to 2: ", id="in"),
        pytest.param(Hold(), "Hold: ", id="hold"),
    ],
)
def test_the_headline_says_what_is_done(action: Action, headline: str) -> None:
    assert explain(action, reason=Reason.STEADY, evidence=KNOWN).startswith(headline)


def test_the_paragraph_says_what_was_seen_and_expected() -> None:
    assert explain(OUT, reason=Reason.DEMAND_FORECAST, evidence=KNOWN) == (
        "Scale small out 3 to 4: the demand expected within the lead time needs them. "
        "Seen: 2 of 3 replicas serve, demand 1.50 requests/s, work 1.25 replicas' worth, backlog 7.00. "
        "Expected within 45 s: work up to 2.50 at 0.80 to 1.20 per replica; demand not carried "
        "25 % without the action, 0 % with it."
    )


def test_unknown_numbers_are_said_to_be_unknown() -> None:
    assert explain(Hold(), reason=Reason.NO_FRESH_DATA, evidence=UNKNOWN) == (
        "Hold: the data is too old or missing to take anything away. "
        "Seen: 1 of 1 replicas serve, demand unknown requests/s, work unknown replicas' worth, "
        "backlog unknown. In doubt: held_requests is stale at gateway; no demand was measured lately. "
        "Expected: unknown (no demand data, or a token's cost is not known yet)."
    )


def test_what_is_still_being_learned_is_said_at_the_end() -> None:
    learning = ("how far forecasts are off (12 of 40 outcomes seen)", "what a replica sustains")
    text = explain(Hold(), reason=Reason.STEADY, evidence=replace(KNOWN, learning=learning))
    assert text.endswith(
        " with it. Still learning: how far forecasts are off (12 of 40 outcomes seen); "
        "what a replica sustains."
    )

"""Effects follow from the decision alone, and only decisions that may act have any."""

import pytest

from autoscaler.execute.expand import effect_entries
from autoscaler.model.action import Hold
from autoscaler.model.decision import Verdict
from support.builders import NOW
from support.execution import FIRST, make_decision, scale_in, scale_out


def test_a_scale_out_starts_replicas_named_after_the_decision() -> None:
    entries = effect_entries(make_decision(scale_out(replicas=2)), now_timestamp_seconds=NOW)
    assert [(e.effect_id, e.replica_id, e.kind, e.phase) for e in entries] == [
        (f"{FIRST}/1", "chat-aaaaaaaa-1", "start", "prepared"),
        (f"{FIRST}/2", "chat-aaaaaaaa-2", "start", "prepared"),
    ]


def test_a_scale_in_stops_the_named_victims() -> None:
    entries = effect_entries(make_decision(scale_in("x", "y")), now_timestamp_seconds=NOW)
    assert [(e.effect_id, e.replica_id, e.kind) for e in entries] == [
        (f"{FIRST}/1", "x", "stop"),
        (f"{FIRST}/2", "y", "stop"),
    ]


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.ACT])
def test_only_the_verdict_act_has_effects(verdict: Verdict) -> None:
    decision = make_decision(scale_out(), verdict=verdict)
    assert effect_entries(decision, now_timestamp_seconds=NOW) == ()


def test_holding_has_no_effects() -> None:
    assert effect_entries(make_decision(Hold()), now_timestamp_seconds=NOW) == ()

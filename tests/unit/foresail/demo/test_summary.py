"""What the demo tells at its end."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoscaler.model.action import Action, Direction, Hold, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from collector.model.histogram import Histogram
from collector.model.ids import DecisionId, ReplicaId
from collector.model.reading import Fresh
from foresail.demo.summary import (
    DecisionOutcome,
    LoadCount,
    RunRecord,
    engine_seconds,
    outcome,
    peak_replicas,
    summary,
)
from support.builders import NOW, SMALL, UNREAD, make_catalogue, make_snapshot, make_view
from support.execution import FIRST, SECOND, make_decision, make_entry, scale_in, scale_out

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "how-to" / "demo.md"
END = NOW + 100
SECOND_START = DecisionId("cccccccc33333333")


def make_run(
    *entries: JournalEntry,
    decisions: tuple[Decision, ...] = (),
    begin: float = NOW,
    end: float = END,
    **fields: Any,
) -> RunRecord:
    given: dict[str, Any] = {
        "catalogue": make_catalogue(),
        "snapshot": make_snapshot(services=(make_view(),)),
        "decisions": decisions,
        "entries": entries,
        "load_start_timestamp_seconds": begin,
        "load_end_timestamp_seconds": end,
        "load": LoadCount(sent=5, ok=3, failed=1, cancelled=1, failures={"chat: HTTP 503": 1}),
        "machine_busy_ratio": 0.5,
        "ledger_record_count": 12,
        "ledger_is_intact": True,
    }
    return RunRecord(**{**given, **fields})


def entry(
    kind: EffectKind, phase: Phase, *, at: float, replica: str = "r1", decision: DecisionId = FIRST
) -> JournalEntry:
    made = make_entry(
        phase,
        kind=kind,
        decision_id=decision,
        replica_id=ReplicaId(replica),
        effect_id=f"{decision}/{replica}",
    )
    return replace(made, timestamp_seconds=NOW + at)


def started(replica: str, *, at: float, decision: DecisionId = FIRST) -> list[JournalEntry]:
    """Ordered at `at`, serving three seconds later."""
    return [
        entry(EffectKind.START, phase, at=at + seconds, replica=replica, decision=decision)
        for phase, seconds in (
            (Phase.PREPARED, 0),
            (Phase.SPAWNING, 1),
            (Phase.SPAWNED, 1),
            (Phase.VERIFIED, 3),
        )
    ]


def stopped(replica: str, *, at: float, last: Phase = Phase.VERIFIED) -> list[JournalEntry]:
    """Drained and gone at `at`, or whatever the last phase is."""
    return [
        entry(EffectKind.STOP, phase, at=at - seconds, replica=replica, decision=SECOND)
        for phase, seconds in ((Phase.PREPARED, 2), (Phase.DRAINING, 1), (last, 0))
    ]


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        pytest.param((), DecisionOutcome.NOT_CARRIED_OUT, id="no-effect"),
        pytest.param(((Phase.PREPARED, Phase.VERIFIED),), DecisionOutcome.DONE, id="done"),
        pytest.param(((Phase.PREPARED,),), DecisionOutcome.UNFINISHED, id="prepared"),
        pytest.param(
            ((Phase.PREPARED, Phase.SPAWNED),), DecisionOutcome.UNFINISHED, id="under-way"
        ),
        pytest.param(((Phase.PREPARED, Phase.REFUSED),), DecisionOutcome.REFUSED, id="refused"),
        pytest.param(((Phase.ROLLING_BACK,),), DecisionOutcome.UNFINISHED, id="being-rolled-back"),
        pytest.param(((Phase.ROLLED_BACK,),), DecisionOutcome.ROLLED_BACK, id="rolled-back"),
        pytest.param(
            ((Phase.VERIFIED,), (Phase.ROLLED_BACK,)),
            DecisionOutcome.ROLLED_BACK,
            id="the-worst-of-two-counts",
        ),
        pytest.param(
            ((Phase.VERIFIED,), (Phase.REFUSED,)), DecisionOutcome.DONE, id="one-was-enough"
        ),
        pytest.param(
            ((Phase.VERIFIED,), (Phase.TERMINATING,)),
            DecisionOutcome.UNFINISHED,
            id="one-is-under-way",
        ),
        pytest.param(
            ((Phase.REFUSED,), (Phase.REFUSED,)), DecisionOutcome.REFUSED, id="all-refused"
        ),
    ],
)
def test_outcome(*, phases: tuple[tuple[Phase, ...], ...], expected: DecisionOutcome) -> None:
    entries = [
        entry(EffectKind.START, phase, at=0, replica=f"r{number}")
        for number, gone_through in enumerate(phases)
        for phase in gone_through
    ]
    foreign = entry(EffectKind.START, Phase.ROLLED_BACK, at=0, decision=SECOND)
    found = outcome(make_decision(scale_out()), entries=[*entries, foreign])
    assert found is expected


R1 = started("r1", at=10)


@pytest.mark.parametrize(
    ("entries", "seconds", "peak"),
    [
        pytest.param([], 0.0, 0, id="nothing-ever-ran"),
        pytest.param(R1, 90.0, 1, id="from-its-order-to-the-end"),
        pytest.param([*R1, *stopped("r1", at=50)], 40.0, 1, id="until-it-was-gone"),
        pytest.param(
            [*R1, *stopped("r1", at=50, last=Phase.ROLLED_BACK)],
            90.0,
            1,
            id="a-stop-that-was-undone-leaves-it-there",
        ),
        pytest.param([*R1, *stopped("r1", at=50, last=Phase.REFUSED)], 90.0, 1, id="stop-refused"),
        pytest.param(
            [*R1[:3], entry(EffectKind.START, Phase.ROLLED_BACK, at=16)],
            6.0,
            1,
            id="a-start-that-failed-took-its-time",
        ),
        pytest.param(R1[:1], 0.0, 0, id="ordered-and-never-begun"),
        pytest.param(
            [*R1, *started("r2", at=40, decision=SECOND_START), *stopped("r1", at=60)],
            50.0 + 60.0,
            2,
            id="two-for-a-while",
        ),
        pytest.param(
            [*R1, *stopped("r1", at=40), *started("r2", at=40, decision=SECOND_START)],
            30.0 + 60.0,
            1,
            id="one-after-the-other",
        ),
        pytest.param(
            [*started("r1", at=-30), *stopped("r1", at=20)], 20.0, 1, id="cut-at-the-start-of-load"
        ),
        pytest.param([*R1, *stopped("r1", at=150)], 90.0, 1, id="cut-at-the-end-of-load"),
        pytest.param(
            [*started("r1", at=-30), *stopped("r1", at=-10)], 0.0, 0, id="gone-before-the-load"
        ),
        pytest.param(started("r1", at=120), 0.0, 0, id="ordered-after-the-load"),
    ],
)
def test_engine_seconds(*, entries: list[JournalEntry], seconds: float, peak: int) -> None:
    run = make_run(*entries)
    assert engine_seconds(run).get("chat", 0.0) == pytest.approx(seconds)
    assert peak_replicas("chat", run=run) == peak
    (service,) = services_of(run)
    assert service["engine_seconds"] == pytest.approx(seconds)
    assert service["always_on_engine_seconds"] == pytest.approx(peak * 100.0)


def services_of(run: RunRecord) -> list[dict[str, Any]]:
    found = summary(run)["services"]
    assert isinstance(found, list)
    return found


def test_a_service_without_a_look_is_unknown_and_not_zero() -> None:
    (service,) = services_of(make_run(snapshot=make_snapshot()))
    assert service["attainment_ratio"] is None
    assert service["ttft_seconds"] == {"p50": None, "p95": None, "p99": None}
    assert set(service["requests"].values()) == {None}


def test_a_service_tells_what_the_gateway_counted() -> None:
    view = make_view(arrived_requests_total=12, failed_requests_total=1, shed_requests_total=UNREAD)
    histogram = Histogram(upper_bounds=(1.0, 2.0), counts=(9.0, 1.0, 0.0), sum=6.0)
    seen = Fresh(value=histogram, observed_timestamp_seconds=NOW, source="test")
    view = replace(view, latency=replace(view.latency, time_to_first_token=seen))
    (service,) = services_of(make_run(snapshot=make_snapshot(services=(view,))))
    assert service["requests"] == {
        "arrived": 12,
        "completed": 100,
        "failed": 1,
        "aborted": 0,
        "shed": None,
    }
    assert service["attainment_ratio"] is None  # the shed ones are misses, and nobody knows them
    assert service["ttft_seconds"]["p50"] == pytest.approx(5 / 9)
    assert service["ttft_seconds"]["p95"] == pytest.approx(1.5)
    assert (service["tier"], service["target_ratio"]) == ("standard", 0.99)


@pytest.mark.parametrize(
    ("action", "verdict", "expected"),
    [
        pytest.param(
            Scale(variant=SMALL, direction=Direction.OUT, from_replicas=1, to_replicas=3),
            Verdict.ACT,
            {"direction": "out", "from_replicas": 1, "to_replicas": 3, "verdict": "act"},
            id="out",
        ),
        pytest.param(
            scale_in("r1"),
            Verdict.ADVISE,
            {"direction": "in", "from_replicas": 1, "to_replicas": 0, "verdict": "advise"},
            id="advice",
        ),
        pytest.param(Hold(), Verdict.NOTHING_TO_DO, None, id="holds-are-left-out"),
    ],
)
def test_decisions(
    *, action: Action, verdict: Verdict, expected: Mapping[str, object] | None
) -> None:
    decision = make_decision(action, verdict=verdict, at=NOW + 7.5)
    document = summary(make_run(decisions=(decision,)))
    found: Any = document["decisions"]
    if expected is None:
        assert found == []
        return
    assert found[0].items() >= expected.items()
    assert found[0]["at_seconds"] == 7.5
    assert found[0]["outcome"] == "not_carried_out"
    assert found[0]["explanation"] == "a test asked for it"


def test_the_document_is_json_without_numbers_that_json_does_not_know() -> None:
    run = make_run(*R1, decisions=(make_decision(scale_out()),))
    document = summary(run)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def documented_fields() -> set[str]:
    """Every path in the first column of the table, and the names in the second one of its lists."""
    section = DOCUMENTATION.read_text().split("## The summary", 1)[1]
    found: set[str] = set()
    for line in section.splitlines():
        if not line.startswith("| `"):
            continue
        first, meaning = (cell.strip() for cell in line.strip("|").split("|", 1))
        names = re.findall(r"`([^`]+)`", first)
        prefix = names[0].rpartition(".")[0]
        paths = [f"{prefix}{name}" if name.startswith(".") else name for name in names]
        if paths[0] in LISTED:
            inner = re.findall(r"`(\w+)`", meaning)
            found |= {f"{paths[0]}.{name}" for name in inner}
        else:
            found |= set(paths)
    return found


LISTED = ("requests", "services[].requests", "services[].ttft_seconds", "decisions[]", "ledger")
"""Rows whose second column names what is inside."""


def fields_of(value: Any, *, path: str = "") -> set[str]:
    """Paths of all leaves, list items as `[]`; `failures` is free in its keys."""
    if isinstance(value, list):
        return {field for each in value for field in fields_of(each, path=f"{path}[]")}
    if not isinstance(value, dict) or path.endswith("failures"):
        return {path}
    prefix = f"{path}." if path else ""
    return {f for name, each in value.items() for f in fields_of(each, path=f"{prefix}{name}")}


def test_the_how_to_names_every_field_and_no_other() -> None:
    run = make_run(*R1, decisions=(make_decision(scale_out()),))
    assert documented_fields() == fields_of(summary(run))


def test_the_how_to_names_every_outcome() -> None:
    row = next(
        line
        for line in DOCUMENTATION.read_text().splitlines()
        if line.startswith("| `decisions[].outcome`")
    )
    named = re.findall(r"`(\w+)`", row.split("|")[2])
    assert named == [each.value for each in DecisionOutcome]

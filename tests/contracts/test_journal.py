"""The Journal port: what the fake and the real ledger both keep to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.errors import LedgerError
from autoscaler.ledger import Ledger
from autoscaler.model.effect import EffectKind, Phase
from autoscaler.model.event import ReplicaReady
from autoscaler.ports import Journal
from collector.clock import VirtualClock
from collector.model.ids import ReplicaId
from support.builders import CHAT, NOW, SMALL
from support.execution import (
    FIRST,
    FIRST_REPLICA,
    SECOND,
    make_decision,
    make_entry,
    scale_out,
    silent_log,
)
from support.fakes import MemoryJournal

LEGAL = {
    "start_that_serves": (EffectKind.START, "prepared spawning spawned verified"),
    "start_refused": (EffectKind.START, "prepared refused"),
    "start_that_never_spawned": (EffectKind.START, "prepared spawning rolling_back rolled_back"),
    "start_never_healthy": (EffectKind.START, "prepared spawning spawned rolling_back rolled_back"),
    "stop": (EffectKind.STOP, "prepared draining terminating verified"),
    "stop_undone": (EffectKind.STOP, "prepared draining rolled_back"),
    "stop_refused": (EffectKind.STOP, "prepared refused"),
}
ILLEGAL = {
    "starts_in_the_middle": (EffectKind.START, "spawning"),
    "prepared_twice": (EffectKind.START, "prepared prepared"),
    "start_skips_spawning": (EffectKind.START, "prepared spawned"),
    "start_serves_without_process": (EffectKind.START, "prepared spawning verified"),
    "spawned_twice": (EffectKind.START, "prepared spawning spawned spawned"),
    "refused_after_spawning": (EffectKind.START, "prepared spawning refused"),
    "start_drains": (EffectKind.START, "prepared draining"),
    "verified_start_rolled_back": (
        EffectKind.START,
        "prepared spawning spawned verified rolling_back",
    ),
    "stop_skips_the_drain": (EffectKind.STOP, "prepared terminating"),
    "stop_undone_while_terminating": (
        EffectKind.STOP,
        "prepared draining terminating rolled_back",
    ),
    "stop_resumed_after_its_end": (
        EffectKind.STOP,
        "prepared draining terminating verified draining",
    ),
}


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    ledger = Ledger(tmp_path / "ledger.db", clock=VirtualClock(NOW), log=silent_log())
    yield ledger
    ledger.close()


def append_all(journal: Journal, kind: EffectKind, phases: str) -> None:
    for phase in phases.split():
        journal.append_entry(make_entry(Phase(phase), kind=kind))


@pytest.mark.parametrize(("kind", "phases"), LEGAL.values(), ids=LEGAL)
def test_legal_life_of_an_effect_is_accepted(
    journal: Journal, kind: EffectKind, phases: str
) -> None:
    append_all(journal, kind, phases)
    assert [entry.phase.value for entry in journal.latest_entries()] == [
        phases.rsplit(maxsplit=1)[-1]
    ]


@pytest.mark.parametrize(("kind", "phases"), ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_edge_is_refused_and_changes_nothing(
    journal: Journal, kind: EffectKind, phases: str
) -> None:
    *before, last = phases.split()
    append_all(journal, kind, " ".join(before))
    latest = journal.latest_entries()
    with pytest.raises(LedgerError) as error:
        append_all(journal, kind, last)
    assert "\n" not in str(error.value)
    assert journal.latest_entries() == latest


def test_an_effect_cannot_change_its_replica(journal: Journal) -> None:
    journal.append_entry(make_entry(Phase.PREPARED))
    with pytest.raises(LedgerError):
        journal.append_entry(make_entry(Phase.SPAWNING, replica_id=ReplicaId("other")))


def test_a_decision_and_its_entries_are_appended_together_or_not_at_all(journal: Journal) -> None:
    good, bad = make_entry(Phase.PREPARED), make_entry(Phase.SPAWNED, decision_id=SECOND)
    with pytest.raises(LedgerError):
        journal.append_decision(make_decision(scale_out()), entries=(good, bad))
    assert journal.latest_entries() == ()
    journal.append_decision(make_decision(scale_out()), entries=(good,))
    assert journal.latest_entries() == (good,)


def test_latest_entries_are_complete_and_oldest_effect_first(journal: Journal) -> None:
    first = make_entry(Phase.PREPARED)
    second = make_entry(Phase.PREPARED, decision_id=SECOND, replica_id=ReplicaId("chat-b-1"))
    journal.append_entry(first)
    journal.append_entry(second)
    spawning = make_entry(Phase.SPAWNING, pid=77)
    journal.append_entry(spawning)
    assert journal.latest_entries() == (spawning, second)


def test_an_outcome_does_not_touch_the_effects(journal: Journal) -> None:
    journal.append_entry(make_entry(Phase.PREPARED))
    journal.append_outcome(
        ReplicaReady(service=CHAT, variant=SMALL, replica_id=FIRST_REPLICA, lead_time_seconds=1.5)
    )
    assert [entry.decision_id for entry in journal.latest_entries()] == [FIRST]

"""The journal that counts what passes and changes nothing."""

import pytest

from autoscaler.errors import LedgerError
from autoscaler.metrics import ControllerMetrics
from autoscaler.model.effect import EffectKind, Phase
from autoscaler.model.event import ReplicaReady
from collector.model.ids import ReplicaId
from foresail.metered_journal import MeteredJournal
from support.builders import CHAT, SMALL
from support.execution import FIRST_REPLICA, make_decision, make_entry, scale_out
from support.fakes import MemoryJournal

PREPARED = make_entry(Phase.PREPARED)


@pytest.fixture(name="inner")
def _inner() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture(name="metrics")
def _metrics() -> ControllerMetrics:
    return ControllerMetrics()


@pytest.fixture(name="journal")
def _journal(inner: MemoryJournal, metrics: ControllerMetrics) -> MeteredJournal:
    return MeteredJournal(inner, metrics=metrics)


def running_count(metrics: ControllerMetrics) -> float | None:
    return metrics.registry.get_sample_value("foresail_effects_running")


def ended_count(metrics: ControllerMetrics, *, kind: EffectKind, phase: Phase) -> float | None:
    labels = {"kind": kind.value, "outcome": phase.value}
    return metrics.registry.get_sample_value("foresail_effects_total", labels)


def test_an_effect_runs_from_its_first_entry_to_its_last(
    journal: MeteredJournal, inner: MemoryJournal, metrics: ControllerMetrics
) -> None:
    decision = make_decision(scale_out())
    journal.append_decision(decision, entries=(PREPARED,))
    spawning = make_entry(Phase.SPAWNING)
    journal.append_entry(spawning)
    assert journal.running == (spawning,)
    assert running_count(metrics) == 1
    journal.append_entry(make_entry(Phase.SPAWNED, pid=7))
    journal.append_entry(make_entry(Phase.VERIFIED, pid=7))
    assert journal.running == ()
    assert running_count(metrics) == 0
    assert ended_count(metrics, kind=EffectKind.START, phase=Phase.VERIFIED) == 1
    assert inner.decisions == [decision]
    assert inner.phases("aaaaaaaa11111111/1") == ["prepared", "spawning", "spawned", "verified"]


def test_what_the_journal_refuses_is_not_counted(
    journal: MeteredJournal, inner: MemoryJournal, metrics: ControllerMetrics
) -> None:
    inner.refuses = {Phase.PREPARED}
    with pytest.raises(LedgerError):
        journal.append_decision(make_decision(scale_out()), entries=(PREPARED,))
    assert journal.running == ()
    assert running_count(metrics) == 0


def test_effects_found_open_at_the_start_run(journal: MeteredJournal, inner: MemoryJournal) -> None:
    ended = make_entry(Phase.PREPARED, effect_id="old/1", replica_id=ReplicaId("chat-old-1"))
    inner.append_entry(ended)
    inner.append_entry(make_entry(Phase.REFUSED, effect_id="old/1", replica_id=ended.replica_id))
    inner.append_entry(PREPARED)
    assert journal.running == ()
    assert journal.latest_entries() == inner.latest_entries()
    assert journal.running == (PREPARED,)


def test_outcomes_pass(journal: MeteredJournal, inner: MemoryJournal) -> None:
    event = ReplicaReady(
        service=CHAT, variant=SMALL, replica_id=FIRST_REPLICA, lead_time_seconds=1.0
    )
    journal.append_outcome(event)
    assert inner.outcomes == [event]

"""What is told of failed engines: the newest reason per variant, until one serves."""

from autoscaler.model.event import ReplicaDied, ReplicaReady, ReplicaStartFailed
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.snapshot import Problem
from foresail.engine_problems import EngineProblems
from support.builders import CHAT, SMALL, make_catalogue, make_service

NAMES = {
    "service": ServiceName(CHAT),
    "variant": VariantName(SMALL),
    "replica_id": ReplicaId("chat-1"),
}


def failed(message: str) -> ReplicaStartFailed:
    return ReplicaStartFailed(**NAMES, failed_timestamp_seconds=1.0, message=message)


def died(message: str) -> ReplicaDied:
    return ReplicaDied(**NAMES, died_timestamp_seconds=2.0, lived_seconds=1.0, message=message)


def test_the_newest_failure_is_told() -> None:
    problems, catalogue = EngineProblems(), make_catalogue(make_service())
    problems.note(failed("no such file"))
    problems.note(died("out of memory"))
    assert problems.of(catalogue) == (Problem(source="chat/small", message="out of memory"),)


def test_a_replica_that_serves_ends_it() -> None:
    problems = EngineProblems()
    problems.note(failed("no such file"))
    problems.note(ReplicaReady(**NAMES, lead_time_seconds=3.0))
    assert problems.of(make_catalogue(make_service())) == ()


def test_a_variant_that_is_not_declared_any_more_is_not_told() -> None:
    problems = EngineProblems()
    problems.note(failed("no such file"))
    assert problems.of(make_catalogue(make_service("other"))) == ()

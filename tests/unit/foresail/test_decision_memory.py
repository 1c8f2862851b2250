"""What the page can still see of the past."""

from autoscaler.model.action import Reason
from collector.model.ids import ServiceName
from foresail.decision_memory import DecisionMemory
from support.fake_controller import CHAT, CODE, make_decision


def ages(
    memory: DecisionMemory,
    *,
    last_count: int = 10,
    service: ServiceName | None = None,
    changes_only: bool = False,
) -> list[str]:
    found = memory.newest(last_count=last_count, service=service, changes_only=changes_only)
    return [decision.decision_id for decision in found]


def test_newest_comes_first_and_the_count_is_kept() -> None:
    memory = DecisionMemory()
    memory.add([make_decision(CHAT, age_seconds=age) for age in (3, 2, 1)])
    assert ages(memory, last_count=2) == ["chat-1", "chat-2"]


def test_one_service_can_be_asked_for() -> None:
    memory = DecisionMemory()
    memory.add([make_decision(CHAT, age_seconds=2), make_decision(CODE, age_seconds=2)])
    assert ages(memory, service=CODE) == ["code-2"]


def test_repeats_are_no_changes_and_each_service_has_its_own_last_word() -> None:
    memory = DecisionMemory()
    memory.add([make_decision(CHAT, age_seconds=5), make_decision(CODE, age_seconds=5)])
    memory.add([make_decision(CHAT, age_seconds=4), make_decision(CODE, age_seconds=4)])
    memory.add([make_decision(CHAT, age_seconds=3, reason=Reason.SCALE_IN_HOLD)])
    memory.add([make_decision(CHAT, age_seconds=2)])
    assert ages(memory, changes_only=True) == ["chat-2", "chat-3", "code-5", "chat-5"]


def test_holds_without_end_do_not_push_out_the_last_change() -> None:
    memory = DecisionMemory(max_count=3)
    for age in range(100, 0, -1):
        memory.add([make_decision(CHAT, age_seconds=age)])
    assert ages(memory, changes_only=True) == ["chat-100"]
    assert ages(memory) == ["chat-1", "chat-2", "chat-3"]

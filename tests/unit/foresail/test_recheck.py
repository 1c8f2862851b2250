"""The second look right before an effect: does the decision still hold?"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.decide import decide
from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Decision
from autoscaler.model.effect import Phase
from autoscaler.model.inputs import Inputs
from collector.model.catalogue import AuthorityLevel, Mode
from collector.model.ids import DecisionId, ServiceName, VariantName
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView
from foresail.recheck import MAX_REMEMBERED, Recheck, still_wanted
from support.builders import (
    CHAT,
    NOW,
    make_authority,
    make_catalogue,
    make_history,
    make_replica_view,
    make_service,
    make_snapshot,
    make_state,
    make_variant,
    make_view,
    steady,
)
from support.execution import make_decision, make_entry, scale_in, scale_out


def inputs(
    *,
    held: float = 3.0,
    replicas: tuple[ReplicaView, ...] = (),
    at: float = NOW,
    **catalogue: Any,
) -> Inputs:
    """One service; while requests are held and nothing serves or comes, it wants one replica more."""
    return Inputs(
        snapshot=make_snapshot(
            services=(make_view(held=held, at=at),), replicas=replicas, taken_at=at
        ),
        history=make_history({CHAT: steady(0.0)}, end=at),
        catalogue=make_catalogue(**catalogue),
        state=make_state(),
        now=at,
    )


def decided(seen: Inputs) -> Decision:
    (decision,) = decide(
        snapshot=seen.snapshot,
        history=seen.history,
        catalogue=seen.catalogue,
        state=seen.state,
        now=seen.now,
    ).decisions
    return decision


@pytest.fixture(name="wanted")
def _wanted() -> Decision:
    decision = decided(inputs())
    assert isinstance(decision.action, Scale)
    assert decision.action.direction is Direction.OUT
    assert decision.is_effective
    return decision


def pending(decision: Decision, *, number: int = 1) -> ReplicaView:
    """What the executor has ordered for this decision and not begun."""
    name = f"{CHAT}-{decision.decision_id[:8]}-{number}"
    return make_replica_view(name, state=ReplicaState.PENDING)


async def test_a_decision_that_would_be_made_again_holds(wanted: Decision) -> None:
    assert await still_wanted(wanted, inputs=inputs(at=NOW + 1)) is None


async def test_its_own_orders_do_not_make_it_look_done(wanted: Decision) -> None:
    assert await still_wanted(wanted, inputs=inputs(replicas=(pending(wanted),))) is None


async def test_somebody_elses_order_does(wanted: Decision) -> None:
    other = replace(wanted, decision_id=DecisionId("ffffffff00000000"))
    refusal = await still_wanted(wanted, inputs=inputs(replicas=(pending(other),)))
    assert refusal == "a fresh look says steady instead"


@pytest.mark.parametrize(
    ("fresh", "refusal"),
    [
        pytest.param(
            lambda: inputs(held=0.0), "a fresh look says steady instead", id="no-need-left"
        ),
        pytest.param(
            lambda: replace(inputs(), catalogue=make_catalogue(make_service("code"))),
            "service chat is no longer declared",
            id="service-gone",
        ),
        pytest.param(
            lambda: inputs(authority=make_authority(mode=Mode.DRY_RUN)),
            "the verdict is now dry_run",
            id="dry-run-since",
        ),
        pytest.param(
            lambda: inputs(authority=make_authority(level=AuthorityLevel.DENY)),
            "the verdict is now denied",
            id="denied-since",
        ),
    ],
)
async def test_a_world_that_has_changed_refuses(
    wanted: Decision, fresh: Callable[[], Inputs], refusal: str
) -> None:
    assert await still_wanted(wanted, inputs=fresh()) == refusal


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(scale_in("chat-1"), id="other-direction"),
        pytest.param(scale_out(variant=VariantName("large")), id="other-variant"),
    ],
)
async def test_only_the_same_change_counts(action: Scale) -> None:
    refusal = await still_wanted(make_decision(action), inputs=inputs())
    assert refusal == "a fresh look says held_request instead"


def three_replicas(*, max_replicas: int) -> Inputs:
    """More serve than the variant may have: the surplus goes."""
    variant = make_variant(max_replicas=max_replicas)
    seen = inputs(held=0.0, replicas=tuple(make_replica_view(f"chat-{n}") for n in (1, 2, 3)))
    return replace(seen, catalogue=make_catalogue(make_service(variants=(variant,))))


@pytest.mark.parametrize(
    ("max_replicas", "refusal"),
    [
        pytest.param(1, None, id="as-many"),
        pytest.param(2, "a fresh look keeps 2 replicas, not 1", id="fewer"),
    ],
)
async def test_no_more_is_taken_away_than_a_fresh_look_would(
    max_replicas: int, refusal: str | None
) -> None:
    decision = decided(three_replicas(max_replicas=1))
    assert isinstance(decision.action, Scale)
    assert len(decision.action.stop_replicas) == 2
    assert await still_wanted(decision, inputs=three_replicas(max_replicas=max_replicas)) == refusal


class World:
    """Fresh inputs that take a moment, and how often they were asked for."""

    def __init__(self, *answers: Inputs) -> None:
        self.looks = 0
        self._answers = answers

    async def look(self) -> Inputs:
        self.looks += 1
        answer = self._answers[min(self.looks, len(self._answers)) - 1]
        await asyncio.sleep(0)
        return answer


async def test_effects_that_ask_together_get_one_answer_from_one_look(wanted: Decision) -> None:
    # The first effect begins while the second one asks: a second look would see it as supply.
    begun = make_replica_view("chat-begun", state=ReplicaState.LOADING)
    world = World(inputs(), inputs(replicas=(begun,)))
    recheck = Recheck(fresh_inputs=world.look)
    recheck.announce(wanted)
    entries = [
        make_entry(Phase.PREPARED, decision_id=wanted.decision_id, effect_id=f"x/{n}")
        for n in (1, 2, 3)
    ]
    answers = await asyncio.gather(*(recheck.refusal(entry) for entry in entries))
    assert answers == [None, None, None]
    assert world.looks == 1


async def test_each_decision_gets_its_own_look(wanted: Decision) -> None:
    world = World(inputs())
    recheck = Recheck(fresh_inputs=world.look)
    other = replace(wanted, decision_id=DecisionId("ffffffff00000000"))
    for decision in (wanted, other):
        recheck.announce(decision)
        entry = make_entry(Phase.PREPARED, decision_id=decision.decision_id)
        assert await recheck.refusal(entry) is None
    assert world.looks == 2


async def test_a_look_that_fails_is_no_answer(wanted: Decision) -> None:
    class Broken(World):
        async def look(self) -> Inputs:
            if not self.looks:
                self.looks += 1
                raise OSError("no answer")
            return await super().look()

    world = Broken(inputs())
    recheck = Recheck(fresh_inputs=world.look)
    recheck.announce(wanted)
    entry = make_entry(Phase.PREPARED, decision_id=wanted.decision_id)
    with pytest.raises(OSError, match="no answer"):
        await recheck.refusal(entry)
    assert await recheck.refusal(entry) is None


async def test_a_decision_nobody_announced_is_refused() -> None:
    recheck = Recheck(fresh_inputs=World(inputs()).look)
    refusal = await recheck.refusal(make_entry(Phase.PREPARED))
    assert refusal == "the decision is not known to this controller, or no longer"


async def test_what_is_remembered_is_bounded(wanted: Decision) -> None:
    world = World(inputs())
    recheck = Recheck(fresh_inputs=world.look)
    recheck.announce(wanted)
    for number in range(MAX_REMEMBERED):
        recheck.announce(
            replace(wanted, decision_id=DecisionId(f"{number:016x}"), service=ServiceName("x"))
        )
    entry = make_entry(Phase.PREPARED, decision_id=wanted.decision_id)
    assert await recheck.refusal(entry) is not None
    assert world.looks == 0

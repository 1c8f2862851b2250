"""Governance narrows, never widens."""

import pytest

from autoscaler.govern.authority import govern
from autoscaler.model.action import Action, Direction, Hold, Scale
from autoscaler.model.decision import Verdict
from collector.model.catalogue import ActionKind, Authority, AuthorityLevel, Mode
from support.builders import make_authority

OUT = Scale(variant="small", direction=Direction.OUT, from_replicas=1, to_replicas=2)
IN = Scale(
    variant="small", direction=Direction.IN, from_replicas=2, to_replicas=1, stop_replicas=("r1",)
)


@pytest.mark.parametrize("action", [pytest.param(OUT, id="out"), pytest.param(IN, id="in")])
@pytest.mark.parametrize(
    ("mode", "level", "verdict"),
    [
        pytest.param(Mode.ACTIVE, AuthorityLevel.AUTO, Verdict.ACT, id="active-auto"),
        pytest.param(Mode.ACTIVE, AuthorityLevel.ADVISE, Verdict.ADVISE, id="active-advise"),
        pytest.param(Mode.ACTIVE, AuthorityLevel.DENY, Verdict.DENIED, id="active-deny"),
        pytest.param(Mode.DRY_RUN, AuthorityLevel.AUTO, Verdict.DRY_RUN, id="dry-run-auto"),
        pytest.param(Mode.DRY_RUN, AuthorityLevel.ADVISE, Verdict.ADVISE, id="dry-run-advise"),
        pytest.param(Mode.DRY_RUN, AuthorityLevel.DENY, Verdict.DENIED, id="dry-run-deny"),
    ],
)
def test_the_most_restrictive_of_mode_and_level_wins(
    action: Action, mode: Mode, level: AuthorityLevel, verdict: Verdict
) -> None:
    assert govern(action, authority=make_authority(mode=mode, level=level)) is verdict


@pytest.mark.parametrize("mode", list(Mode))
def test_holding_needs_nobodys_leave(mode: Mode) -> None:
    authority = make_authority(mode=mode, level=AuthorityLevel.DENY)
    assert govern(Hold(), authority=authority) is Verdict.NOTHING_TO_DO


def test_the_first_start_changes_nothing() -> None:
    assert govern(OUT, authority=Authority()) is Verdict.ADVISE


def test_a_level_for_another_kind_of_action_does_not_count() -> None:
    authority = Authority(mode=Mode.ACTIVE, levels={ActionKind.SWAP: AuthorityLevel.AUTO})
    assert govern(OUT, authority=authority) is Verdict.ADVISE

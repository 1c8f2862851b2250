"""The verdict on one action under the catalogue's authority. Pure.

For now a default per kind of action; the matrix of rules refines it later. The most restrictive of
mode and level wins.
"""

from autoscaler.model.action import Action, Hold, Scale
from autoscaler.model.decision import Verdict
from autoscaler.model.overflow import OverflowPlan
from collector.model.catalogue import ActionKind, Authority, AuthorityLevel, Mode


def govern(action: Action, *, authority: Authority) -> Verdict:
    """Whether the action may be carried out."""
    match action:
        case Hold():
            return Verdict.NOTHING_TO_DO
        case Scale():
            return _verdict(authority.level(ActionKind.SCALE), mode=authority.mode)


def as_advice(verdict: Verdict) -> Verdict:
    """The verdict where nobody here can carry the action out, whatever leave there is."""
    return Verdict.ADVISE if verdict in {Verdict.ACT, Verdict.DRY_RUN} else verdict


def govern_overflow(plan: OverflowPlan, *, authority: Authority) -> Verdict:
    """Whether the overflow may be opened; a closed one needs nobody's leave."""
    if not plan.is_open:
        return Verdict.NOTHING_TO_DO
    return _verdict(authority.level(ActionKind.OVERFLOW), mode=authority.mode)


def _verdict(level: AuthorityLevel, *, mode: Mode) -> Verdict:
    match level:
        case AuthorityLevel.DENY:
            return Verdict.DENIED
        case AuthorityLevel.ADVISE:
            return Verdict.ADVISE
        case AuthorityLevel.AUTO:
            return Verdict.ACT if mode is Mode.ACTIVE else Verdict.DRY_RUN

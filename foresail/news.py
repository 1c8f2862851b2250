"""Which decisions are worth a ledger row: changes, not repetitions. Pure.

A hold is recorded when its reason changes; a decision that may not be carried out (dry run, advice,
denied) when it differs from the last one recorded, or a dry run would write the same row every tick.
"""

from dataclasses import dataclass, field

from autoscaler.model.action import Action, Reason, Scale
from autoscaler.model.decision import Decision, Verdict
from collector.model.ids import ServiceName

_Said = tuple[Reason, Verdict, str, str]


@dataclass(slots=True)
class LastRecorded:
    """What was recorded last per service."""

    _seen: dict[ServiceName, _Said] = field(default_factory=dict)

    def is_news(self, decision: Decision) -> bool:
        """Whether this decision differs from the service's last recorded one, or has effects."""
        return decision.is_effective or self._seen.get(decision.service) != _said(decision)

    def remember(self, decision: Decision) -> None:
        """Takes it as recorded; to be called when it is, so that a failed write is tried again."""
        self._seen[decision.service] = _said(decision)


def _said(decision: Decision) -> _Said:
    return decision.reason, decision.verdict, _shape(decision.action), _overflow(decision)


def _overflow(decision: Decision) -> str:
    """What became of the overflow, without the money, which differs from tick to tick."""
    plan = decision.overflow
    if plan is None:
        return ""
    return f"{plan.is_open} {plan.reason} {plan.share_ratio} {decision.overflow_verdict}"


def _shape(action: Action) -> str:
    """The action without the replicas it names, which differ from tick to tick."""
    if isinstance(action, Scale):
        return f"{action.variant} {action.direction.value} {action.to_replicas}"
    return "hold"

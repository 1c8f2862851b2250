"""What a unit of prefill and decode engines sustains inside the objectives.

Made by `capacity.units`, used wherever a `Capacity` is. All work of a unit is that of its busiest role: the
other one waits for it, and cannot help.
"""

from dataclasses import dataclass

from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Rates
from collector.model.roles import EngineRole


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCapacity:
    """The engines of one role in a unit."""

    role: EngineRole
    ratio: int  # engines
    engine: Capacity  # of one of them, doing only its part

    def load(self, rates: Rates) -> float:
        """Units that this role needs for the demand: 1 is all that its engines of one unit sustain."""
        part = own_part(rates, role=self.role)
        return self.engine.work_ratio(part) / (self.ratio * self.engine.low_ratio)


def own_part(rates: Rates, *, role: EngineRole) -> Rates:
    """What of the demand is the role's to compute."""
    is_prefill = role is EngineRole.PREFILL
    return Rates(
        requests_per_second=rates.requests_per_second,
        prompt_tokens_per_second=rates.prompt_tokens_per_second if is_prefill else 0.0,
        output_tokens_per_second=0.0 if is_prefill else rates.output_tokens_per_second,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCapacity(Capacity):
    """Capacity of one unit. Its work is counted so that `low_ratio` of it is what the busiest role
    sustains; the costs per token are those of the unit's engines of the role together."""

    roles: tuple[RoleCapacity, ...]

    def work_ratio(self, rates: Rates) -> float:
        """Unit-seconds of work per second that this demand means to the role it loads most."""
        return self.low_ratio * max(each.load(rates) for each in self.roles)

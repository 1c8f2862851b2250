"""What a decision tells of the roles of a variant: how its engines are divided, and which role binds."""

from dataclasses import dataclass

from collector.model.ids import VariantName
from collector.model.roles import EngineRole

MISFIT_RATIO = 0.5
"""Of what a role sustains: used to less when the other role is at its end, it stands idle for more than
half, and another ratio of the roles would carry the same with fewer engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleEvidence:
    """The engines of one role. None: a token's cost, or the mix of tokens asked for, is not known."""

    variant: VariantName
    role: EngineRole
    engines_per_unit: int
    serving_engines: int
    needed_engines: int  # for the units that the decision comes to
    sustained_requests_per_second: float | None  # of one unit, as far as this role goes
    used_ratio: float | None  # of that, when the unit carries all it can; 1: this role binds

    @property
    def is_misfit(self) -> bool:
        """Whether the ratio gives this role far more engines than the mix of tokens needs."""
        return self.used_ratio is not None and self.used_ratio < MISFIT_RATIO

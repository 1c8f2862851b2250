"""Faults on command: what an emulated engine does wrong, and for how long.

In: bodies of POST /emulate/fault, a route that exists with --faults only. Out: state the server asks.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """What goes wrong."""

    NONE = "none"  # everything is well again
    CRASH = "crash"  # gone at once, connections cut
    HANG = "hang"  # no token any more; /health and /metrics go on
    SLOW = "slow"  # steps take `factor` times as long
    OUT_OF_MEMORY = "oom"  # requests end in HTTP 500, then the engine is gone
    ERRORS = "errors"  # `ratio` of new requests are answered with HTTP 500
    FROZEN_METRICS = "frozen_metrics"  # the page stays as it is


class FaultBody(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")
    fault: FaultKind
    factor: float = Field(default=3.0, gt=0, le=1000, description="of slow")
    ratio: float = Field(default=0.5, ge=0, le=1, description="of errors")


@dataclass(slots=True, kw_only=True)
class Faults:
    """What is wrong now, beside what the engine itself knows."""

    error_ratio: float = 0.0
    frozen_page: str | None = None
    _debt: float = 0.0

    def next_request_fails(self) -> bool:
        """Whether this one is among the `error_ratio`; spread evenly, without chance."""
        self._debt += self.error_ratio
        # The tolerance keeps ten tenths from falling short of one.
        if self._debt < 1 - 1e-9:
            return False
        self._debt -= 1
        return True

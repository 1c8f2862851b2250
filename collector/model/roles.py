"""The roles into which engines of one variant may divide a request: prefill and decode.

Declared in catalogue.yaml (`roles`), told of every replica that is an engine of a role, and joined to
units by `units`. Knows nothing of what either engine can do; that is the autoscaler's part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EngineRole(StrEnum):
    """Which part of every request an engine does."""

    PREFILL = "prefill"  # computes the prompt, and hands its KV cache over
    DECODE = "decode"  # gives the answer, token by token


class HandOver(StrEnum):
    """How engines of one kind pass a request from prefill to decode."""

    IN_TURN = "in_turn"  # decode gets it when prefill is done: it is at one of them at a time
    AT_ONCE = "at_once"  # both get it when it arrives: it is at both until prefill is done


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleEngines:
    """The engines of one role in a variant."""

    role: EngineRole
    ratio: int  # engines of it in one unit; the ratios of a variant have no common divisor
    urls: tuple[str, ...]  # one per engine that somebody runs, whole units or not
    memory_bytes: int  # declared footprint of one engine
    slots: int  # requests one engine works on at once
    seconds_per_token: float | None  # engine-seconds per token of its part; None: not declared
    match: Mapping[str, str] = field(default_factory=dict)  # labels its series have in Prometheus

    def __post_init__(self) -> None:
        if self.ratio < 1:
            raise ValueError(f"ratio of {self.role.value} must be at least 1, got {self.ratio}")
        if self.memory_bytes <= 0:
            raise ValueError(f"memory_bytes must be above 0, got {self.memory_bytes}")
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, got {self.slots}")
        if self.seconds_per_token is not None and self.seconds_per_token <= 0:
            raise ValueError(f"seconds_per_token must be above 0, got {self.seconds_per_token}")

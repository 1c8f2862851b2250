"""Which role's engines tell what of a service, so that a request that two engines work on counts once.

In: a replica's view and what is to be counted. Out: whether it tells that. Pure; a part of `assemble`,
used by `engine_totals`. An engine without a role does whole requests and tells everything.

Prefill is asked for a single token: it ends every request as if it were answered. Where a request
goes from one engine to the other in turn, what waits or fails at prefill is not known at decode yet, so
both tell it; what is at decode was at prefill before, so only decode tells what was answered.
"""

from collections.abc import Mapping
from typing import Final

from collector.model.ids import VariantName
from collector.model.roles import EngineRole, HandOver
from collector.model.snapshot import ReplicaView

HandOvers = Mapping[VariantName, HandOver]
"""Of the variants that have roles."""

_PREFILL: Final = frozenset({EngineRole.PREFILL})
_DECODE: Final = frozenset({EngineRole.DECODE})
_BOTH: Final = _PREFILL | _DECODE

_ALWAYS: Final[Mapping[str, frozenset[EngineRole]]] = {
    "completed_requests_total": _DECODE,
    "admitted_prompt_tokens_total": _PREFILL,
    "output_tokens_total": _DECODE,
    "inter_token_latency": _DECODE,
    "end_to_end_latency": _DECODE,
}
_TELLERS: Final[Mapping[HandOver, Mapping[str, frozenset[EngineRole]]]] = {
    HandOver.IN_TURN: {
        **_ALWAYS,
        "failed_requests_total": _BOTH,
        "aborted_requests_total": _BOTH,
        "shed_requests_total": _BOTH,
        "in_flight_requests": _BOTH,
        "time_to_first_token": _PREFILL,
    },
    HandOver.AT_ONCE: {
        **_ALWAYS,
        "failed_requests_total": _DECODE,
        "aborted_requests_total": _DECODE,
        "shed_requests_total": _DECODE,
        "in_flight_requests": _DECODE,
        "time_to_first_token": _DECODE,
    },
}
"""{hand-over: {field of TrafficView or LatencyView: roles that tell it}}"""


def tells(view: ReplicaView, name: str, *, hand_overs: HandOvers) -> bool:
    """Whether what it tells under this name is to be counted. Raises KeyError for an unknown name."""
    role = view.replica.role
    if role is None:
        return True
    hand_over = hand_overs.get(view.replica.variant, HandOver.IN_TURN)
    return role in _TELLERS[hand_over][name]

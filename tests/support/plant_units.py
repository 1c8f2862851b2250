"""Engines of prefill and decode in the plant: who computes what of a request, and what each one tells.

A request waits before prefill while decode has no slot for it. What all engines of a role can do
together is what the role can do; the slower role is the service's.
"""

from collections.abc import Iterable, Sequence

from collector.model.catalogue import Service, Variant
from collector.model.replica import Replica, ReplicaState
from collector.model.roles import EngineRole
from support.builders import OUTPUT_TOKENS, PROMPT_TOKENS

TOKENS = {EngineRole.PREFILL: PROMPT_TOKENS, EngineRole.DECODE: OUTPUT_TOKENS}


def engines_of_a_unit(variant: Variant) -> Iterable[EngineRole | None]:
    """The role of each engine that makes one replica; one without a role where there are none."""
    if not variant.roles:
        return (None,)
    return tuple(each.role for each in variant.roles for _ in range(each.ratio))


def engine_memory_bytes(variant: Variant, replica: Replica) -> int:
    """What one engine holds."""
    engines = variant.engines_of(replica.role)
    return engines.memory_bytes if engines else variant.memory_bytes


def role_speeds(service: Service, serving: Sequence[Replica]) -> dict[EngineRole, float]:
    """{role: requests per second that its serving engines compute their part of}"""
    speeds = dict.fromkeys(EngineRole, 0.0)
    for variant in service.variants:
        for engines in variant.roles:
            assert engines.seconds_per_token is not None
            count = sum((r.variant, r.role) == (variant.name, engines.role) for r in serving)
            speeds[engines.role] += count / (TOKENS[engines.role] * engines.seconds_per_token)
    return speeds


def running_and_waiting(
    variant: Variant, replica: Replica, *, in_flight: int, serving: Sequence[Replica]
) -> tuple[float, float]:
    """What one engine of a role tells of the requests in flight: decode's slots fill first."""
    if replica.state is not ReplicaState.SERVING:
        return 0.0, 0.0
    decode = sum(each.role is EngineRole.DECODE for each in serving)
    prefill = sum(each.role is EngineRole.PREFILL for each in serving)
    engines = variant.engines_of(EngineRole.DECODE)
    assert engines is not None
    decoding = min(in_flight, decode * engines.slots)
    if replica.role is EngineRole.DECODE:
        return decoding / decode, 0.0
    return 0.0, (in_flight - decoding) / prefill

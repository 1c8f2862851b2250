"""A service whose engines divide every request: one prefill and two decode engines make a unit.

By default a request (100 prompt and 90 output tokens) takes 0.1 s of a prefill engine and 0.9 s of a
decode engine: a unit sustains 10 requests/s by its prefill and 2.2 by its decode.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from collector.model.catalogue import CapacityPrior, Service, UrlTarget, Variant
from collector.model.ids import ReplicaId
from collector.model.replica import EngineKind, Replica, ReplicaState
from collector.model.roles import EngineRole, RoleEngines
from collector.model.snapshot import ReplicaView
from support.builders import CHAT, GIB, make_replica_view, make_service, make_variant

SPLIT = "split"
CATALOGUE_HEAD = """\
version: 1
pools:
  cluster: {kind: unified, capacity: 800GiB}
tiers:
  gold: {violation_price_per_minute: 10}
services:
  chat:
    tier: gold
    objectives:
      - {sli: time_to_first_token, threshold: 1s, target: 99%}
    variants:
      split:
        engine: vllm
        pool: cluster
        memory: 40GiB
        slots: 64
        match: {namespace: llm}
"""
"""As people write it; `roles` and a target are to follow."""
PREFILL_SECONDS_PER_TOKEN = 0.001
DECODE_SECONDS_PER_TOKEN = 0.01


def make_role(role: EngineRole, *, ratio: int = 1, **fields: Any) -> RoleEngines:
    is_prefill = role is EngineRole.PREFILL
    given: dict[str, Any] = {
        "urls": (f"http://{role.value}",),
        "memory_bytes": GIB,
        "slots": 4,
        "seconds_per_token": PREFILL_SECONDS_PER_TOKEN if is_prefill else DECODE_SECONDS_PER_TOKEN,
    }
    return RoleEngines(role=role, ratio=ratio, **{**given, **fields})


def make_split_variant(
    *,
    prefill: int = 1,
    decode: int = 2,
    engine: EngineKind = EngineKind.VLLM,
    prefill_fields: dict[str, Any] | None = None,
    decode_fields: dict[str, Any] | None = None,
    **fields: Any,
) -> Variant:
    """`prefill`, `decode`: engines of a unit."""
    roles = (
        make_role(EngineRole.PREFILL, ratio=prefill, **(prefill_fields or {})),
        make_role(EngineRole.DECODE, ratio=decode, **(decode_fields or {})),
    )
    given: dict[str, Any] = {
        "engine": engine,
        "target": UrlTarget(urls=("http://router",)),
        "roles": roles,
        "memory_bytes": (prefill + decode) * GIB,
        "slots": 4 * decode,
        "cost_per_hour": float(prefill + decode),
        "max_replicas": 20,
        "capacity_prior": CapacityPrior(
            prompt_seconds_per_token=PREFILL_SECONDS_PER_TOKEN / prefill,
            output_seconds_per_token=DECODE_SECONDS_PER_TOKEN / decode,
        ),
    }
    return make_variant(SPLIT, **{**given, **fields})


def make_split_service(**fields: Any) -> Service:
    """The service with one variant; `fields` are the variant's, as `make_split_variant` takes them."""
    return make_service(variants=(make_split_variant(**fields),))


def with_role(view: ReplicaView, role: EngineRole) -> ReplicaView:
    return replace(view, replica=replace(view.replica, role=role))


def make_engine_view(role: EngineRole, number: int = 0, **fields: Any) -> ReplicaView:
    name = f"{CHAT}/{SPLIT}/{role.value}/{number}"
    return with_role(make_replica_view(name, variant=SPLIT, **fields), role)


def make_engine_views(*, prefill: int, decode: int, **fields: Any) -> tuple[ReplicaView, ...]:
    """So many engines of each role; `fields` are those of every view."""
    counts = ((EngineRole.PREFILL, prefill), (EngineRole.DECODE, decode))
    return tuple(
        make_engine_view(role, number, **fields)
        for role, count in counts
        for number in range(count)
    )


def make_engines(states: Iterable[tuple[EngineRole, ReplicaState]]) -> tuple[Replica, ...]:
    """Engines in these states, numbered through."""
    return tuple(
        replace(
            make_engine_view(role, number, state=state).replica,
            replica_id=ReplicaId(f"{role.value}-{number}"),
        )
        for number, (role, state) in enumerate(states)
    )

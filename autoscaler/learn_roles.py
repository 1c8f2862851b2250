"""What the engines of units teach about their roles: state in, state out. Pure.

Part of `observe`, for services with roles only. Each engine is learned from by its own part of the work:
what a prefill engine can do says nothing of a decode engine. How long steps take is learned from decode
engines, whose tokens the times between tokens are of; of prefill engines nobody measures steps, so that
their declared cost is corrected by what busy ones do, and never by less.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoscaler.capacity.learn import RUN_SECONDS_PER_LEVEL_WINDOW, learn
from autoscaler.capacity.units import engine_variant
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import VariantState, WorkSample
from collector.model.catalogue import Service, Variant
from collector.model.ids import ReplicaId, VariantName
from collector.model.replica import ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import Snapshot
from collector.model.units import own_part

OfRoles = Mapping[VariantName, Mapping[EngineRole, VariantState]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfEngines:
    """What one look taught about the engines of one service's units."""

    roles: OfRoles
    samples: Mapping[ReplicaId, WorkSample]


def observe_engines(service: Service, *, inputs: Inputs) -> OfEngines:
    """The state of each role after this look, and the engines' running samples."""
    divided = {each.name: each for each in service.variants if each.roles}
    roles = {
        name: {e.role: inputs.state.role(service.name, name, e.role) for e in variant.roles}
        for name, variant in divided.items()
    }
    samples: dict[ReplicaId, WorkSample] = {}
    for view in inputs.engines(service.name):
        replica, variant = view.replica, divided[view.replica.variant]
        engines = variant.engines_of(replica.role)
        if engines is None or replica.state is not ReplicaState.SERVING:
            continue
        lesson = learn(
            own_part(view),
            variant=engine_variant(variant, engines),
            variant_state=roles[variant.name][engines.role],
            previous=inputs.state.replicas.get(replica.replica_id),
            run_seconds=RUN_SECONDS_PER_LEVEL_WINDOW * inputs.control.level_window_seconds,
        )
        roles[variant.name][engines.role] = lesson.variant
        if lesson.sample is not None:
            samples[replica.replica_id] = lesson.sample
    return OfEngines(roles=roles, samples=samples)


def answering_part(service: Service, *, inputs: Inputs) -> Snapshot:
    """The service's part of the snapshot with its decode engines as the replicas: the times between
    tokens are of their steps alone."""
    decode = [
        own_part(view)
        for view in inputs.engines(service.name)
        if view.replica.role is EngineRole.DECODE
    ]
    return replace(inputs.part(service.name), replicas=tuple(decode))


def answering_slots(variant: Variant) -> int:
    """Requests that one engine which answers works on at once: a decode engine where there are roles."""
    decode = variant.engines_of(EngineRole.DECODE)
    return variant.slots if decode is None else decode.slots

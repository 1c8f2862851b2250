"""Joins the engines of variants with roles to units, which everybody after the snapshot counts as replicas.

In: a snapshot with a view per engine, and the catalogue. Out: the same with a view per unit instead, and
what each engine did of its own part. Pure. A catalogue without roles gives the snapshot back as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.model.catalogue import Catalogue, Variant
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.reading import Fresh, Missing, MissingReason, Number, Stale
from collector.model.replica import SUPPLY_STATES, Replica, ReplicaState
from collector.model.roles import EngineRole, HandOver
from collector.model.snapshot import ReplicaView, Snapshot

_READINESS = {ReplicaState.SERVING: 0, ReplicaState.LOADING: 1, ReplicaState.PENDING: 2}

EngineViews = Mapping[ServiceName, tuple[ReplicaView, ...]]
"""Of services that have variants with roles: every engine that serves or will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InUnits:
    """A snapshot whose replicas are units, and the engines that they are made of."""

    snapshot: Snapshot
    engines: EngineViews


def in_units(snapshot: Snapshot, *, catalogue: Catalogue) -> InUnits:
    """The snapshot with units in place of engines.

    A unit is as ready as the least ready of its engines. Engines beyond the last whole unit work with the
    first one: what they tell is added to it, and no unit is made of them. Engines that neither serve nor
    start belong to no unit.
    """
    divided = {
        (service.name, variant.name): (variant, hand_over)
        for service in catalogue.services
        if any(variant.roles for variant in service.variants)
        for variant in service.variants
        if (hand_over := service.hand_overs.get(variant.name)) is not None
    }
    if not divided:
        return InUnits(snapshot=snapshot, engines={})
    engines: dict[tuple[ServiceName, VariantName], list[ReplicaView]] = {key: [] for key in divided}
    others: list[ReplicaView] = []
    for view in snapshot.replicas:
        key = (view.replica.service, view.replica.variant)
        if view.replica.role is None or key not in divided:
            others.append(view)
        elif view.replica.state in SUPPLY_STATES:
            engines[key].append(view)
    units = [
        unit
        for key, (variant, hand_over) in divided.items()
        for unit in _units(engines[key], variant=variant, hand_over=hand_over)
    ]
    return InUnits(
        snapshot=replace(snapshot, replicas=(*others, *units)), engines=_by_service(engines)
    )


def own_part(view: ReplicaView) -> ReplicaView:
    """The engine's view without tokens that are not its part: prefill gives no answer, decode computes no
    prompt, though its page may count the prompts that came with what was handed over."""
    match view.replica.role:
        case EngineRole.PREFILL:
            return replace(view, output_tokens_total=_none_of(view.prompt_tokens_total))
        case EngineRole.DECODE:
            return replace(view, prompt_tokens_total=_none_of(view.output_tokens_total))
        case None:
            return view


def _none_of(reading: Number) -> Number:
    """Zero, as well known as the reading of the engine's own part."""
    return reading if isinstance(reading, Missing) else replace(reading, value=0.0)


def _by_service(
    engines: Mapping[tuple[ServiceName, VariantName], Sequence[ReplicaView]],
) -> EngineViews:
    found: dict[ServiceName, tuple[ReplicaView, ...]] = {}
    for (service, _), views in engines.items():
        found[service] = (*found.get(service, ()), *views)
    return found


def _readiness(view: ReplicaView) -> tuple[int, bool]:
    """Of equals those first that can be read: one that cannot makes its unit unknown."""
    return _READINESS[view.replica.state], not isinstance(view.running_requests, Fresh)


def _units(
    views: Sequence[ReplicaView], *, variant: Variant, hand_over: HandOver
) -> Iterator[ReplicaView]:
    """The most ready engines of each role together, then the next."""
    by_role = {
        each.role: sorted(
            (view for view in views if view.replica.role is each.role),
            key=_readiness,
        )
        for each in variant.roles
    }
    count = min(len(by_role[each.role]) // each.ratio for each in variant.roles)
    beyond = [
        view
        for each in variant.roles
        for view in by_role[each.role][count * each.ratio :]
        if view.replica.state is ReplicaState.SERVING
    ]
    for number in range(count):
        members = [
            view
            for each in variant.roles
            for view in by_role[each.role][number * each.ratio : (number + 1) * each.ratio]
        ]
        extra = beyond if number == 0 else []
        yield _unit(members, extra=extra, number=number, hand_over=hand_over)


def _unit(
    members: Sequence[ReplicaView],
    *,
    extra: Sequence[ReplicaView],
    number: int,
    hand_over: HandOver,
) -> ReplicaView:
    all_of_it = (*members, *extra)
    prefill = [view for view in all_of_it if view.replica.role is EngineRole.PREFILL]
    decode = [view for view in all_of_it if view.replica.role is EngineRole.DECODE]
    queues = decode if hand_over is HandOver.AT_ONCE else all_of_it
    return ReplicaView(
        replica=_replica(members, number=number),
        running_requests=_sum(view.running_requests for view in decode),
        waiting_requests=_sum(view.waiting_requests for view in queues),
        prompt_tokens_total=_sum(view.prompt_tokens_total for view in prefill),
        output_tokens_total=_sum(view.output_tokens_total for view in decode),
        in_flight_requests=_sum(view.in_flight_requests for view in queues),
        memory_bytes=_sum(view.memory_bytes for view in all_of_it),
    )


def _replica(members: Sequence[ReplicaView], *, number: int) -> Replica:
    """The unit as a replica: ordered with its last engine, serving since its last one serves."""
    engines = [view.replica for view in members]
    first = engines[0]
    since = [each.serving_timestamp_seconds for each in engines]
    known = [at for at in since if at is not None]
    return Replica(
        replica_id=ReplicaId(f"{first.service}/{first.variant}/unit/{number}"),
        service=first.service,
        variant=first.variant,
        state=max((each.state for each in engines), key=_READINESS.__getitem__),
        ordered_timestamp_seconds=max(each.ordered_timestamp_seconds for each in engines),
        serving_timestamp_seconds=max(known) if len(known) == len(since) else None,
        base_url=None,
    )


def _sum(readings: Iterable[Number]) -> Number:
    """All together, as good and as old as the worst of them; a part is never taken for the whole."""
    known: list[Fresh[float] | Stale[float]] = []
    for reading in readings:
        if isinstance(reading, Missing):
            return reading
        known.append(reading)
    if not known:
        return Missing(reason=MissingReason.NOT_READ_YET, source="unit")
    oldest = min(known, key=lambda each: (isinstance(each, Fresh), each.observed_timestamp_seconds))
    return replace(oldest, value=sum(each.value for each in known))

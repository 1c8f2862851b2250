"""A valid catalogue.yaml as the dataclasses of `collector.model.catalogue`.

In: the file's form after all checks, its folder and digest. Out: the `Catalogue`, with defaults filled
in and file references made absolute. Must not check; what is wrong was said before.
"""

from collections.abc import Mapping
from pathlib import Path

from collector.catalogue_file.calendar_schema import calendar_events
from collector.catalogue_file.checks import models_of, replica_bounds, replica_memory_bytes
from collector.catalogue_file.overflow_schema import overflow_of
from collector.catalogue_file.roles_schema import OneEngine, engines_of, unit_cost_per_hour
from collector.catalogue_file.schema import (
    AuthorityPart,
    CatalogueFile,
    ControlPart,
    ObjectivePart,
    ServicePart,
    VariantPart,
)
from collector.catalogue_file.target_schema import ProcessPart, TargetPart
from collector.model.catalogue import (
    ActionKind,
    Authority,
    CapacityPrior,
    Catalogue,
    Control,
    MemoryPool,
    Objective,
    ProcessTarget,
    Quota,
    Service,
    Target,
    Tier,
    UrlTarget,
    Variant,
)
from collector.model.ids import PoolName, QuotaName, ServiceName, TierName, VariantName
from collector.model.replica import EngineKind
from collector.model.roles import EngineRole, RoleEngines


def catalogue_of(file: CatalogueFile, *, folder: Path, digest: str) -> Catalogue:
    """The catalogue; relative file references are seen from `folder`."""
    return Catalogue(
        version=file.version,
        services=tuple(_service(name, part, folder=folder) for name, part in file.services.items()),
        tiers=tuple(
            Tier(name=TierName(name), violation_price_per_minute=part.violation_price_per_minute)
            for name, part in file.tiers.items()
        ),
        pools=tuple(
            MemoryPool(
                name=PoolName(name),
                kind=part.kind,
                capacity_bytes=part.capacity,
                reserve_bytes=part.reserve,
                device=part.device,
            )
            for name, part in file.pools.items()
        ),
        quotas=tuple(
            Quota(name=QuotaName(name), max_replicas=part.max_replicas)
            for name, part in file.quotas.items()
        ),
        authority=_authority(file.authority),
        control=_control(file.control),
        digest=digest,
    )


def _authority(part: AuthorityPart) -> Authority:
    return Authority(
        mode=part.mode,
        levels={
            ActionKind.SCALE: part.scale,
            ActionKind.SWAP: part.swap,
            ActionKind.RESHAPE: part.reshape,
            ActionKind.OVERFLOW: part.overflow,
        },
    )


def _control(part: ControlPart) -> Control:
    return Control(
        level_window_seconds=part.level_window,
        length_window_seconds=part.length_window,
        scale_in_hold_seconds=part.scale_in_hold,
        idle_to_zero_seconds=part.idle_to_zero,
        utilisation_target_ratio=part.utilisation_target,
        scale_in_utilisation_ratio=part.scale_in_utilisation,
        backlog_drain_seconds=part.backlog_drain,
        stale_after_seconds=part.stale_after,
        start_retry_seconds=part.start_retry,
        start_retry_max_seconds=part.start_retry_max,
        max_spot_ratio=part.max_spot,
    )


def _service(name: str, part: ServicePart, *, folder: Path) -> Service:
    return Service(
        name=ServiceName(name),
        models=models_of(name, part),
        owner=part.owner,
        tier=TierName(part.tier),
        objectives=tuple(_objective(each) for each in part.objectives),
        variants=tuple(
            _variant(key, each, match=part.match, folder=folder)
            for key, each in part.variants.items()
        ),
        hold_timeout_seconds=part.hold_timeout,
        max_held_requests=part.max_held_requests,
        max_in_flight_per_replica=part.max_in_flight_per_replica,
        calendar=calendar_events(part.calendar),
        overflow=overflow_of(part.overflow, folder=folder),
    )


def _objective(part: ObjectivePart) -> Objective:
    return Objective(
        sli=part.sli,
        threshold_seconds=part.threshold,
        target_ratio=part.target,
        window_seconds=part.window,
    )


def _variant(name: str, part: VariantPart, *, match: Mapping[str, str], folder: Path) -> Variant:
    minimum, maximum = replica_bounds(part)
    keep_alive = (
        part.engine is not EngineKind.LLAMA_CPP if part.keep_alive is None else part.keep_alive
    )
    roles = _roles(part)
    return Variant(
        name=VariantName(name),
        engine=part.engine,
        target=_target(part.target, folder=folder),
        pool=PoolName(part.pool),
        memory_bytes=replica_memory_bytes(part),
        slots=_slots(part.slots, roles=roles),
        min_replicas=minimum,
        max_replicas=maximum,
        cost_per_hour=_cost_per_hour(part),
        upstream_model=part.upstream_model,
        keep_alive=keep_alive,
        capacity_prior=_unit_capacity(roles) if roles else _capacity(part),
        roles=roles,
        match={**match, **part.match},
        is_spot=part.spot,
        quota=None if part.quota is None else QuotaName(part.quota),
    )


def _roles(part: VariantPart) -> tuple[RoleEngines, ...]:
    if part.roles is None:
        return ()
    costs: dict[EngineRole, float] = {}
    if part.capacity is not None:
        costs = {
            EngineRole.PREFILL: part.capacity.prompt_seconds_per_token,
            EngineRole.DECODE: part.capacity.output_seconds_per_token,
        }
    known = {role: cost for role, cost in costs.items() if cost > 0}
    usual = OneEngine(memory_bytes=part.memory, slots=part.slots, seconds_per_token=known)
    return engines_of(part.roles, usual=usual)


def _slots(usual: int, *, roles: tuple[RoleEngines, ...]) -> int:
    """Of a unit: the answers its decode engines give at once."""
    decode = [each for each in roles if each.role is EngineRole.DECODE]
    return sum(each.ratio * each.slots for each in decode) or usual


def _cost_per_hour(part: VariantPart) -> float:
    if part.roles is None:
        return part.cost_per_hour
    return unit_cost_per_hour(part.roles, usual=part.cost_per_hour)


def _unit_capacity(roles: tuple[RoleEngines, ...]) -> CapacityPrior | None:
    """Unit-seconds per token; None unless both roles' costs were declared."""
    costs = {each.role: (each.seconds_per_token or 0.0) / each.ratio for each in roles}
    if not all(costs.values()):
        return None
    return CapacityPrior(
        prompt_seconds_per_token=costs[EngineRole.PREFILL],
        output_seconds_per_token=costs[EngineRole.DECODE],
    )


def _capacity(part: VariantPart) -> CapacityPrior | None:
    if part.capacity is None:
        return None
    return CapacityPrior(
        prompt_seconds_per_token=part.capacity.prompt_seconds_per_token,
        output_seconds_per_token=part.capacity.output_seconds_per_token,
    )


def _target(part: TargetPart, *, folder: Path) -> Target:
    if not isinstance(part, ProcessPart):
        return UrlTarget(urls=tuple(part.urls))
    program, *arguments = (_filled(word, folder=folder) for word in part.command)
    return ProcessTarget(
        command=(_program(program, folder=folder), *arguments),
        environment={key: _filled(word, folder=folder) for key, word in part.environment.items()},
        required_files=tuple(
            _file(_filled(each, folder=folder), folder=folder) for each in part.required_files
        ),
        health_path=part.health_path,
        startup_timeout_seconds=part.startup_timeout,
        drain_timeout_seconds=part.drain_timeout,
        terminate_timeout_seconds=part.terminate_timeout,
    )


def _filled(word: str, *, folder: Path) -> str:
    return word.replace("{catalogue_dir}", str(folder))


def _program(word: str, *, folder: Path) -> str:
    """A program with a slash is a file and seen from the folder; one without is looked up in PATH."""
    return _file(word, folder=folder) if "/" in word else word


def _file(typed: str, *, folder: Path) -> str:
    return typed if typed.startswith("{") else str(folder / typed)

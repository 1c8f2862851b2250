"""Rules of catalogue.yaml that concern more than one key.

In: a file that is valid key by key. Out: every broken rule as a `Problem` with the path of the key to
change (the reader adds the line). Pure; runs after `schema`, before `convert`.
"""

from collections.abc import Iterator, Mapping

from collector.catalogue_file.calendar_schema import calendar_problems
from collector.catalogue_file.overflow_schema import overflow_problems
from collector.catalogue_file.roles_schema import (
    role_problems,
    unit_count,
    unit_memory_bytes,
)
from collector.catalogue_file.schema import (
    CatalogueFile,
    ControlPart,
    ObjectivePart,
    PoolPart,
    ServicePart,
    VariantPart,
)
from collector.catalogue_file.target_schema import ProcessPart, UrlPart
from collector.files.problem import KeyPath, Problem, did_you_mean
from collector.model.catalogue import PoolKind, Sli


def replica_bounds(variant: VariantPart) -> tuple[int, int]:
    """(min, max) replicas with the defaults filled in; with roles a replica is a unit."""
    if isinstance(variant.target, UrlPart) and variant.roles is None:
        count = len(variant.target.urls)
        return count, count
    minimum = variant.min_replicas or 0
    there = 1 if variant.roles is None else max(1, unit_count(variant.roles))
    return minimum, max(there, minimum) if variant.max_replicas is None else variant.max_replicas


def replica_memory_bytes(variant: VariantPart) -> int:
    """What one replica holds; with roles all engines of a unit."""
    if variant.roles is None:
        return variant.memory
    return unit_memory_bytes(variant.roles, usual_bytes=variant.memory)


def cross_key_problems(file: CatalogueFile) -> Iterator[Problem]:
    """Everything that is wrong between keys; nothing for a usable file."""
    for name, pool in file.pools.items():
        yield from _pool_problems(pool, ("pools", name))
    yield from _device_problems(file.pools)
    yield from _control_problems(file.control)
    for name, service in file.services.items():
        yield from _service_problems(service, ("services", name), file=file)
    yield from _model_problems(file.services)
    yield from _memory_problems(file)
    yield from _quota_problems(file)


def _budget(pool: PoolPart) -> int:
    return pool.capacity - pool.reserve


def _problem(path: KeyPath, message: str) -> Problem:
    return Problem(line=None, path=path, message=message)


def _pool_problems(pool: PoolPart, path: KeyPath) -> Iterator[Problem]:
    if pool.reserve >= pool.capacity:
        yield _problem(
            (*path, "reserve"),
            f"is {memory_text(pool.reserve)}, must be under the capacity of {memory_text(pool.capacity)}",
        )


def _device_problems(pools: Mapping[str, PoolPart]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, pool in pools.items():
        path: KeyPath = ("pools", name, "device")
        if pool.device is None:
            continue
        if pool.kind is PoolKind.UNIFIED:
            yield _problem(path, "belongs to a discrete pool; unified memory is the machine's")
        owner = owners.setdefault(pool.device.lower(), name)
        if owner != name:
            yield _problem(path, f"is {pool.device}, which is the device of pool {owner!r} already")


def _control_problems(control: ControlPart) -> Iterator[Problem]:
    if control.length_window < control.level_window:
        yield _problem(
            ("control", "length_window"),
            f"is {control.length_window:g}s, must be at least level_window ({control.level_window:g}s)",
        )
    if control.start_retry_max < control.start_retry:
        yield _problem(
            ("control", "start_retry_max"),
            f"is {control.start_retry_max:g}s, must be at least start_retry ({control.start_retry:g}s)",
        )
    if control.scale_in_utilisation > control.utilisation_target:
        yield _problem(
            ("control", "scale_in_utilisation"),
            f"is {control.scale_in_utilisation:.4g}, must be at most utilisation_target "
            f"({control.utilisation_target:.4g}), or replicas would go and come in turn",
        )


def _service_problems(
    service: ServicePart, path: KeyPath, *, file: CatalogueFile
) -> Iterator[Problem]:
    yield from _reference_problems(service.tier, (*path, "tier"), kind="tier", names=file.tiers)
    seen: set[tuple[Sli, float | None]] = set()
    for index, objective in enumerate(service.objectives):
        where = (*path, "objectives", index)
        yield from _objective_problems(objective, where)
        if (objective.sli, objective.threshold) in seen:
            yield _problem(where, "repeats an earlier objective: same sli, same threshold")
        seen.add((objective.sli, objective.threshold))
    yield from calendar_problems(service.calendar, (*path, "calendar"))
    yield from overflow_problems(service.overflow, (*path, "overflow"))
    for name, variant in service.variants.items():
        yield from _variant_problems(variant, (*path, "variants", name), file=file)
    yield from _company_problems(service, (*path, "variants"))
    yield from _repeated_engine_problems(service, (*path, "variants"))


def _repeated_engine_problems(service: ServicePart, path: KeyPath) -> Iterator[Problem]:
    """An engine of two variants would be counted twice."""
    owners: dict[str, str] = {}
    for name, variant in service.variants.items():
        engines = dict(_engine_urls(variant))
        for url, where in engines.items():
            if url in owners:
                yield _problem(
                    (*path, name, *where),
                    f"repeats {url!r}, which is an engine of variant {owners[url]!r} already",
                )
        owners |= dict.fromkeys(engines, name)


def _engine_urls(variant: VariantPart) -> Iterator[tuple[str, KeyPath]]:
    """The addresses whose pages are read: with roles the target's is a router."""
    if variant.roles is not None:
        for role, said in variant.roles.by_role().items():
            for index, url in enumerate(said.urls):
                yield url, ("roles", role.value, "urls", index)
    elif isinstance(variant.target, UrlPart):
        for index, url in enumerate(variant.target.urls):
            yield url, ("target", "urls", index)


def _company_problems(service: ServicePart, path: KeyPath) -> Iterator[Problem]:
    """Growth would go to units that nobody here starts, while a process could have been started."""
    processes = [
        name for name, each in service.variants.items() if isinstance(each.target, ProcessPart)
    ]
    for name, variant in service.variants.items():
        if variant.roles is not None and isinstance(variant.target, UrlPart) and processes:
            yield _problem(
                (*path, name, "roles"),
                f"is only advised on, and would be advised in place of starts of {processes[0]!r}, "
                "which is a process; make it a service of its own",
            )


def _objective_problems(objective: ObjectivePart, path: KeyPath) -> Iterator[Problem]:
    if objective.sli is Sli.AVAILABILITY and objective.threshold is not None:
        yield _problem(
            (*path, "threshold"), "is not allowed for availability; only latencies have one"
        )
    if objective.sli is not Sli.AVAILABILITY and objective.threshold is None:
        yield _problem(path, f"has no 'threshold', which {objective.sli.value} requires, e.g. 1s")


def _variant_problems(
    variant: VariantPart, path: KeyPath, *, file: CatalogueFile
) -> Iterator[Problem]:
    yield from _reference_problems(variant.pool, (*path, "pool"), kind="pool", names=file.pools)
    if variant.quota is not None:
        yield from _quota_reference_problems(variant.quota, (*path, "quota"), file=file)
    pool, memory = file.pools.get(variant.pool), replica_memory_bytes(variant)
    if pool and 0 < _budget(pool) < memory:
        yield _problem(
            (*path, "memory"),
            f"is {memory_text(memory)}{' of one unit' if variant.roles else ''}, but pool {variant.pool!r} has only "
            f"{memory_text(_budget(pool))} to give",
        )
    if variant.capacity and not any(variant.capacity.model_dump().values()):
        yield _problem(
            (*path, "capacity"), "has two costs of 0; one must be above 0, or leave it out"
        )
    if variant.roles is not None:
        yield from role_problems(variant.roles, (*path, "roles"), engine=variant.engine)
    match variant.target:
        case ProcessPart() as target:
            yield from _bounds_problems(variant, path)
            yield from _process_problems(target, variant=variant, path=path)
        case UrlPart() as target:
            yield from _url_problems(target, variant=variant, path=path)


def _bounds_problems(variant: VariantPart, path: KeyPath) -> Iterator[Problem]:
    minimum, maximum = replica_bounds(variant)
    if minimum > maximum:
        yield _problem(
            (*path, "max_replicas"),
            f"is {maximum}, must be at least min_replicas, which is {minimum}",
        )


def _process_problems(
    target: ProcessPart, *, variant: VariantPart, path: KeyPath
) -> Iterator[Problem]:
    if variant.roles is not None:
        yield _problem(
            (*path, "target", "kind"),
            "is process, but Foresail cannot start engines of two roles; use url, so that it watches "
            "them and advises how many, or leave roles out",
        )
    if not any("{port}" in word for word in target.command):
        yield _problem(
            (*path, "target", "command"),
            "has no {port}; the engine must listen on the port Foresail gives it, e.g. --port {port}",
        )
    if "{" in target.command[0].replace("{python}", "").replace("{catalogue_dir}", ""):
        yield _problem(
            (*path, "target", "command", 0),
            f"is {target.command[0]!r}, must be a program; only {{python}} and {{catalogue_dir}} fit here",
        )


def _url_problems(target: UrlPart, *, variant: VariantPart, path: KeyPath) -> Iterator[Problem]:
    if variant.roles is None:
        yield from _count_problems(target, variant=variant, path=path)
    else:
        yield from _bounds_problems(variant, path)
    for index, url in enumerate(target.urls):
        if url in target.urls[:index]:
            yield _problem((*path, "target", "urls", index), f"repeats {url!r}")


def _count_problems(target: UrlPart, *, variant: VariantPart, path: KeyPath) -> Iterator[Problem]:
    count = len(target.urls)
    for key, value in (
        ("min_replicas", variant.min_replicas),
        ("max_replicas", variant.max_replicas),
    ):
        if value not in {None, count}:
            yield _problem(
                (*path, key),
                f"is {value}, must be {count}, the number of urls, or be left out: Foresail does not "
                "start or stop these",
            )


def _reference_problems(
    name: str, path: KeyPath, *, kind: str, names: Mapping[str, object]
) -> Iterator[Problem]:
    if name not in names:
        hint = did_you_mean(name, tuple(names)) or f"; declared are: {', '.join(names)}"
        yield _problem(path, f"is {name!r}, which is not declared under {kind}s{hint}")


def models_of(name: str, service: ServicePart) -> tuple[str, ...]:
    """The names clients may use."""
    return tuple(service.models) if service.models is not None else (name,)


def _model_problems(services: Mapping[str, ServicePart]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, service in services.items():
        for index, model in enumerate(models_of(name, service)):
            path: KeyPath = ("services", name)
            if service.models is not None:
                path = (*path, "models", index)
            if model in owners:
                yield _problem(
                    path,
                    f"serves the model name {model!r}, which service {owners[model]!r} has already",
                )
            owners.setdefault(model, name)


def _memory_problems(file: CatalogueFile) -> Iterator[Problem]:
    always: dict[str, int] = {}
    too_large: set[str] = set()  # pools for which one variant alone was told already
    for service in file.services.values():
        for variant in service.variants.values():
            if variant.pool in file.pools and replica_memory_bytes(variant) > _budget(
                file.pools[variant.pool]
            ):
                too_large.add(variant.pool)
            held = replica_bounds(variant)[0] * replica_memory_bytes(variant)
            always[variant.pool] = always.get(variant.pool, 0) + held
    for name, pool in file.pools.items():
        budget = _budget(pool)
        if name not in too_large and 0 < budget < always.get(name, 0):
            yield _problem(
                ("pools", name),
                f"can give {memory_text(budget)}, but the min_replicas of its variants hold "
                f"{memory_text(always[name])}",
            )


def _quota_reference_problems(
    name: str, path: KeyPath, *, file: CatalogueFile
) -> Iterator[Problem]:
    if not file.quotas:
        yield _problem(path, f"is {name!r}, but nothing is declared under quotas; add it there")
        return
    yield from _reference_problems(name, path, kind="quota", names=file.quotas)


def _quota_problems(file: CatalogueFile) -> Iterator[Problem]:
    always = dict.fromkeys(file.quotas, 0)
    for service in file.services.values():
        for variant in service.variants.values():
            if variant.quota in always:
                always[variant.quota] += replica_bounds(variant)[0]
    for name, quota in file.quotas.items():
        if quota.max_replicas < always[name]:
            yield _problem(
                ("quotas", name, "max_replicas"),
                f"is {quota.max_replicas}, but the min_replicas of its variants are "
                f"{always[name]} together",
            )


def memory_text(amount_bytes: int) -> str:
    """An amount of memory for people: 1.5GiB, 512MiB, 100 bytes."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if amount_bytes >= size:
            return f"{amount_bytes / size:.4g}{unit}"
    return f"{amount_bytes} bytes"

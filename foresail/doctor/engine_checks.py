"""Whether the engines that the catalogue declares could run here."""

from collections.abc import Iterator
from pathlib import Path

from collector.model.catalogue import PoolKind
from foresail.doctor.finding import Finding, ok, problem, warning
from foresail.doctor.machine import HostMemory
from foresail.doctor.subject import Subject


def check_commands(subject: Subject) -> Iterator[Finding]:
    """Every program exists and may be run."""
    missing = False
    for service, variant, target in subject.process_variants():
        if subject.machine.program(target.command[0]) is None:
            missing = True
            yield problem(
                "commands",
                f"{service.name}/{variant.name}: {target.command[0]!r} is not found or may not be run",
                next_step="install it, or write its whole path in the catalogue",
            )
    if not missing:
        yield ok("commands", f"every engine command is found: {len(subject.process_variants())}")


def check_required_files(subject: Subject) -> Iterator[Finding]:
    """Every required file exists and can be read."""
    count, missing = 0, 0
    for service, variant, target in subject.process_variants():
        for typed in target.required_files:
            count += 1
            path = Path(typed.replace("{state_dir}", str(subject.settings.state_dir)))
            reason = _unreadable(path)
            if reason is not None:
                missing += 1
                yield problem(
                    "files",
                    f"{service.name}/{variant.name}: {path} {reason}",
                    next_step="put it there, or correct required_files in the catalogue",
                )
    if not missing:
        yield ok("files", f"every required file can be read: {count}")


def _unreadable(path: Path) -> str | None:
    try:
        if path.is_dir():
            return None
        with path.open("rb"):
            return None
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def check_memory(subject: Subject) -> Iterator[Finding]:
    """The unified pools of this machine fit into its memory."""
    used = {variant.pool for _, variant, _ in subject.process_variants()}
    pools = [each for each in subject.catalogue.pools if each.name in used]
    unified = [each for each in pools if each.kind is PoolKind.UNIFIED]
    for pool in pools:
        if pool.kind is PoolKind.DISCRETE:
            yield ok("memory", f"pool {pool.name}: memory of an accelerator, not checked yet")
    host = subject.machine.memory()
    if not unified:
        return
    if host is None:
        yield warning(
            "memory",
            "the memory of this machine cannot be told (/proc/meminfo)",
            next_step="make sure that the capacity of the pools is right",
        )
        return
    capacity = sum(pool.capacity_bytes for pool in unified)
    budget = sum(pool.budget_bytes for pool in unified)
    yield _memory_finding(capacity=capacity, budget=budget, host=host)


def _memory_finding(*, capacity: int, budget: int, host: HostMemory) -> Finding:
    total, available = _text(host.total_bytes), _text(host.available_bytes)
    if capacity > host.total_bytes:
        return problem(
            "memory",
            f"pools declare {_text(capacity)}, this machine has {total}",
            next_step="lower capacity in the catalogue",
        )
    if budget > host.available_bytes:
        return warning(
            "memory",
            f"models may take {_text(budget)}, {available} of {total} are available now",
            next_step="raise reserve, or end other programs (engines that run count as such here)",
        )
    return ok("memory", f"models may take {_text(budget)}, {available} of {total} are available")


def _text(amount_bytes: int) -> str:
    return f"{amount_bytes / 2**30:.1f} GiB"

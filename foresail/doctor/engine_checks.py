"""Whether the engines that the catalogue declares could run here."""

from collections.abc import Iterator
from pathlib import Path

from foresail.doctor.finding import Finding, ok, problem
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
        yield ok("commands", f"engine commands: {len(subject.process_variants())}, all found")


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
        yield ok("files", f"required files: {count}, all can be read")


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

"""All checks in the order a person would do them: files first, then what they need of the machine.

In: the path of the settings, variables, the machine. Out: findings. A file that cannot be read is a
finding, and the checks that need it are left out.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from collector.catalogue_file import read_catalogue
from collector.errors import CatalogueError, ConfigurationError
from foresail.doctor.catalogue_checks import check_authority, check_objectives
from foresail.doctor.engine_checks import check_commands, check_required_files
from foresail.doctor.finding import Finding, ok, problem
from foresail.doctor.installation_checks import check_extras, check_import_names
from foresail.doctor.machine import Machine
from foresail.doctor.memory_checks import check_memory
from foresail.doctor.process_checks import check_controller, check_gateway
from foresail.doctor.state_checks import check_ledger, check_secret_files, check_state_dir
from foresail.doctor.subject import Subject
from foresail.own_gateway import refuse_unreachable
from foresail.settings import Settings, read_settings

CHECKS: Final[tuple[Callable[[Subject], Iterable[Finding]], ...]] = (
    check_state_dir,
    check_ledger,
    check_secret_files,
    check_authority,
    check_objectives,
    check_commands,
    check_required_files,
    check_memory,
    check_gateway,
    check_controller,
    check_extras,
)
_CORRECT: Final = "correct this line, then run foresail doctor again"
_SAY_WHERE: Final = {
    "settings": "run this in its folder, or say where it is with --settings",
    "catalogue": "say where it is with `catalogue` in the settings",
}


def examine(
    settings_path: Path, *, environ: Mapping[str, str], machine: Machine
) -> tuple[Finding, ...]:
    """Every finding, in a fixed order."""
    findings = list(check_import_names(machine))
    try:
        settings = read_settings(settings_path, environ)
    except ConfigurationError as error:
        return (*findings, *_file_problems("settings", error))
    findings.append(ok("settings", f"{settings_path} is valid"))
    return (*findings, *_examine_setup(settings, machine=machine))


def _examine_setup(settings: Settings, *, machine: Machine) -> Iterable[Finding]:
    try:
        catalogue = read_catalogue(settings.catalogue_path)
        refuse_unreachable(catalogue, settings=settings)
    except CatalogueError as error:
        yield from _file_problems("catalogue", error)
        return
    count = len(catalogue.services)
    yield ok("catalogue", f"{settings.catalogue_path} is valid; services: {count}")
    subject = Subject(settings=settings, catalogue=catalogue, machine=machine)
    for check in CHECKS:
        yield from check(subject)


def _file_problems(check: str, error: ConfigurationError) -> Iterable[Finding]:
    for line in str(error).splitlines():
        is_there = "there is no such file" not in line
        yield problem(check, line, next_step=_CORRECT if is_there else _SAY_WHERE[check])

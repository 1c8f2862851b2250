"""Whether Foresail is installed so that it runs its own code and has its optional parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import foresail
from foresail.doctor.finding import Finding, ok, problem, warning
from foresail.doctor.machine import Machine
from foresail.doctor.subject import Subject

DISTRIBUTION: Final = "foresail"
OUR_PACKAGES: Final = ("foresail", "autoscaler", "collector")
EXTRA_MODULES: Final = ("xllamacpp", "gguf")
"""What `foresail demo` needs besides: a real engine, and the writer of its model file."""


def check_import_names(machine: Machine) -> Iterator[Finding]:
    """Nobody else owns our package names: a stranger's `collector` would run in place of ours."""
    root = Path(foresail.__file__).resolve().parent.parent
    strangers = tuple(_strangers(machine, root=root))
    for name, who in strangers:
        yield problem(
            "imports",
            f"the Python package {name!r} here belongs to {who}",
            next_step="install Foresail into an environment of its own (pipx, or a new venv)",
        )
    if not strangers:
        yield ok("imports", f"{', '.join(OUR_PACKAGES)} are Foresail's own, in {root}")


def _strangers(machine: Machine, *, root: Path) -> Iterator[tuple[str, str]]:
    for name in OUR_PACKAGES:
        others = machine.module_owners(name) - {DISTRIBUTION}
        file = machine.module_file(name)
        if others:
            yield name, ", ".join(sorted(others))
        elif file is None or not file.is_relative_to(root):
            yield name, f"{file}, which is not beside Foresail"


def check_extras(subject: Subject) -> Iterator[Finding]:
    """The parts only some need."""
    missing = [name for name in EXTRA_MODULES if not subject.machine.has_module(name)]
    if missing:
        yield warning(
            "extras",
            f"{', '.join(missing)} not installed: `foresail demo` does not work, the rest does",
            next_step="pip install 'foresail[demo]', if you want the demo",
        )
    else:
        yield ok("extras", f"{', '.join(EXTRA_MODULES)} installed: the demo works")

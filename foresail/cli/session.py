"""What one run of the command has from outside: its variables, and the settings found by them.

Passed to every command as typer's context object, so that no command reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from foresail.settings import Settings

DEFAULT_SETTINGS = Path("foresail.yaml")
SETTINGS_VARIABLE = "FORESAIL_SETTINGS"
DEBUG_VARIABLE = "FORESAIL_DEBUG"

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        "-s",
        metavar="FILE",
        help="The settings file. Default: $FORESAIL_SETTINGS, else foresail.yaml here.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data for programs.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of the command."""

    environ: Mapping[str, str]

    @property
    def wants_tracebacks(self) -> bool:
        """Whether a failure shows where it happened."""
        return self.environ.get(DEBUG_VARIABLE, "") not in {"", "0"}

    def settings_path(self, given: Path | None) -> Path:
        """The settings file: the one given, else the one of the variable, else the one here."""
        return given or Path(self.environ.get(SETTINGS_VARIABLE) or DEFAULT_SETTINGS)

    def settings(self, given: Path | None) -> Settings:
        """The settings in force. Raises ConfigurationError."""
        from foresail.settings import read_settings

        return read_settings(self.settings_path(given), self.environ)


def session_of(context: typer.Context) -> Session:
    """The session of a command."""
    return cast(Session, context.find_root().obj)  # set by `main` for every command

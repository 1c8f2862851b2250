"""What a failure means to the person who typed the command: lines for stderr and an exit code.

In: any exception. Out: `Failure`. Errors that the house raises on purpose already say what, which
value, what limit and what next; they are passed on. Anything else is a defect and says so.
"""

from dataclasses import dataclass

import typer

FOUND_SOMETHING = 1
WRONG_USE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a command that failed ends."""

    exit_code: int
    lines: tuple[str, ...]


def failure(error: Exception) -> Failure:
    """The lines to print, each without the program's name, and the exit code."""
    from autoscaler.errors import AutoscalerError, NotLeader
    from collector.errors import CollectorError, ConfigurationError
    from foresail.demo.errors import DemoError

    match error:
        case typer.TyperException():
            return _wrong_use(error)
        case ConfigurationError() | NotLeader():  # starting it again cannot help
            return _told(error, exit_code=WRONG_USE)
        case CollectorError() | AutoscalerError() | DemoError():
            return _told(error, exit_code=FOUND_SOMETHING)
        case OSError():
            return Failure(exit_code=FOUND_SOMETHING, lines=(_system_line(error),))
        case _:
            return Failure(exit_code=FOUND_SOMETHING, lines=(_defect_line(error),))


def _told(error: Exception, *, exit_code: int) -> Failure:
    return Failure(exit_code=exit_code, lines=tuple(str(error).splitlines()) or (repr(error),))


def _wrong_use(error: typer.TyperException) -> Failure:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "foresail"
    message = _wrong_words(error).rstrip(".").replace("\n", " ")
    return Failure(exit_code=error.exit_code, lines=(f"{message}; see `{command} --help`",))


def _wrong_words(error: typer.TyperException) -> str:
    """What is wrong, with the value: the parser's own words leave it out."""
    from pydantic import ValidationError

    if not isinstance(error, typer.BadParameter):
        return error.format_message()
    if isinstance(error.__cause__, ValidationError) and error.param is not None:
        found = error.__cause__.errors(include_url=False)[0]
        rule = found["msg"].partition(", ")[0].replace("Input should", "must")
        return f"{error.param.opts[0]} {found['input']}: {rule}"
    return error.format_message() if error.param or error.param_hint else error.message


def _system_line(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _defect_line(error: Exception) -> str:
    said = " ".join(str(error).split())[:300]
    return (
        f"unexpected {type(error).__name__}: {said}; this is a defect in Foresail, "
        "FORESAIL_DEBUG=1 shows where"
    )

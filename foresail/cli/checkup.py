"""`foresail doctor`: whether this setup works on this machine, and what its targets tell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING
from foresail.cli.output import print_json, print_table
from foresail.cli.session import JsonOption, Session, SettingsOption, session_of

if TYPE_CHECKING:
    from foresail.doctor import Finding
    from foresail.doctor.targets import SignalReport, TargetReport
    from foresail.settings import Settings
    from foresail.wiring.doctor import OneTarget


def doctor(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="Examine one engine, exporter, gateway or Prometheus instead of a setup.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What URL should be, e.g. vllm.", show_default=False),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Hold URL against it, e.g. 'time_to_first_token<=1s'; repeatable.",
            show_default=False,
        ),
    ] = None,
    read_anyway: Annotated[
        bool,
        typer.Option(
            "--read-anyway",
            help="Read URL's page even where that may keep a llama.cpp awake that is to sleep when idle.",
        ),
    ] = False,
    settings: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Checks files, machine and targets, or one URL; changes nothing.

    Exit 1 when something is wrong, or a target does not tell what it should.
    """
    session = session_of(context)
    if url is None:
        if engine or objective or read_anyway:
            raise typer.BadParameter("--engine, --objective and --read-anyway go with a URL")
        findings, targets = _examined_setup(session, settings_option=settings)
    else:
        given = session.settings(settings) if settings else None
        asked = _asked(url, engine, objective or [], reads_anyway=read_anyway)
        findings, targets = (), (_examined_url(asked, settings=given),)
    if as_json:
        print_json({"findings": findings, "targets": targets})
    else:
        _print_findings(findings)
        _print_targets(targets, with_signals=url is not None)
    if _has_problem(findings) or any(each.has_something_to_do for each in targets):
        raise typer.Exit(FOUND_SOMETHING)


def _examined_setup(
    session: Session, *, settings_option: SettingsOption
) -> "tuple[tuple[Finding, ...], tuple[TargetReport, ...]]":
    from collector.errors import ConfigurationError
    from foresail.doctor import examine
    from foresail.wiring.doctor import examine_setup, this_machine

    path = session.settings_path(settings_option)
    machine = this_machine(session.environ)
    findings = examine(path, environ=session.environ, machine=machine)
    try:
        return findings, examine_setup(session.settings(settings_option))
    except ConfigurationError:  # a finding already
        return findings, ()


def _asked(
    url: str, engine: str | None, objectives: Sequence[str], *, reads_anyway: bool
) -> "OneTarget":
    from foresail.doctor.targets import address_of, thresholds_of
    from foresail.wiring.doctor import OneTarget

    return OneTarget(
        address=address_of(url),
        engine=engine,
        thresholds=thresholds_of(objectives),
        reads_anyway=reads_anyway,
    )


def _examined_url(asked: "OneTarget", *, settings: "Settings | None") -> "TargetReport":
    from foresail.wiring.doctor import examine_address

    return examine_address(asked, settings=settings)


def _has_problem(findings: "Sequence[Finding]") -> bool:
    from foresail.doctor import Status

    return any(each.status is Status.PROBLEM for each in findings)


def _print_findings(findings: "Sequence[Finding]") -> None:
    if findings:
        rows = [(each.status.value, each.check, each.message) for each in findings]
        print_table(("status", "check", "finding"), rows)
    steps = [(each.check, each.next_step) for each in findings if each.next_step is not None]
    for check, step in dict.fromkeys(steps):  # one step may mend several findings
        print(f"next ({check}): {step}")


def _shown(text: str) -> str:
    """The text without what a server could use to write over a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _print_targets(targets: "Sequence[TargetReport]", *, with_signals: bool) -> None:
    for number, target in enumerate(targets):
        before = "" if with_signals and number == 0 else "\n"
        print(f"{before}{_shown(_headline(target))}")
        if with_signals and target.signals:
            rows = [
                (each.signal, each.state.value, _shown(_series_or_note(each)))
                for each in target.signals
            ]
            print_table(("signal", "state", "series, or note"), rows)
        if target.findings:
            found = [
                (each.status.value, each.kind.value, _shown(each.message))
                for each in target.findings
            ]
            print_table(("status", "kind", "finding"), found)
        for each in target.findings:
            if each.disables is not None:
                print(f"without it ({each.signal or each.kind.value}): {each.disables}")
            if each.next_step is not None:
                print(f"next ({each.signal or each.kind.value}): {_shown(each.next_step)}")


def _series_or_note(signal: "SignalReport") -> str:
    """One column for both, which keeps names whole on a terminal of 80 columns."""
    return ": ".join(each for each in (signal.series, signal.note) if each)


def _headline(target: "TargetReport") -> str:
    from foresail.doctor.targets import SignalState

    what = f"{target.title} {target.version or '(version not told)'}" if target.title else "unknown"
    how = f"HTTP {target.http_status}" if target.http_status else "no answer"
    took = "" if target.elapsed_seconds is None else f" in {target.elapsed_seconds * 1000:.0f} ms"
    told = sum(each.state in (SignalState.TOLD, SignalState.ASLEEP) for each in target.signals)
    of_all = f"; signals told: {told} of {len(target.signals)}" if target.signals else ""
    name = "" if target.name in target.url else f"{target.name}: "
    return f"{name}{target.url}: {what}, {how}{took}{of_all}"

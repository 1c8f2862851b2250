"""`foresail doctor`: whether this setup works on this machine."""

import typer

from foresail.cli.failure import FOUND_SOMETHING
from foresail.cli.output import print_json, print_table
from foresail.cli.session import JsonOption, SettingsOption, session_of


def doctor(
    context: typer.Context, *, settings: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Checks the files, the machine and what runs; changes nothing. Exit 1 when something is wrong."""
    from foresail.doctor import Status, ThisMachine, examine

    session = session_of(context)
    machine = ThisMachine(environ=session.environ)
    findings = examine(session.settings_path(settings), environ=session.environ, machine=machine)
    if as_json:
        print_json({"findings": findings})
    else:
        rows = [(each.status.value, each.check, each.message) for each in findings]
        print_table(("status", "check", "finding"), rows)
        for each in findings:
            if each.next_step is not None:
                print(f"next ({each.check}): {each.next_step}")
    if any(each.status is Status.PROBLEM for each in findings):
        raise typer.Exit(FOUND_SOMETHING)

"""`foresail plan`: what would be decided now, from the last checkpoint, without doing it."""

from pathlib import Path
from typing import Annotated

import typer

from foresail.cli.output import age_text, print_json, print_table
from foresail.cli.session import JsonOption, SettingsOption, session_of


def plan(
    context: typer.Context,
    *,
    settings: SettingsOption = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder of a checkpoint. Default: the controller's.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Shows what would be decided now. Nothing is carried out."""
    from collector.clock import SystemClock
    from foresail.http.decision_view import action_words, decision_body
    from foresail.plan_command import plan as planned

    now = SystemClock().timestamp_seconds()
    result = planned(session_of(context).settings(settings), checkpoint=checkpoint, now=now)
    if result is None:
        _print_nothing_learned(as_json=as_json)
        return
    if as_json:
        bodies = [decision_body(each).model_dump(mode="json") for each in result.decisions]
        print_json({"age_seconds": result.age_seconds, "decisions": bodies})
        return
    print(f"from a checkpoint of {age_text(result.age_seconds)} ago")
    rows = [
        (each.service, action_words(each.action), each.reason.value, each.verdict.value)
        for each in result.decisions
    ]
    print_table(("service", "action", "reason", "verdict"), rows)
    for each in result.decisions:
        print(f"\n{each.service}: {each.explanation}")


def _print_nothing_learned(*, as_json: bool) -> None:
    if as_json:
        print_json({"age_seconds": None, "decisions": []})
        return
    print("nothing learned yet: no controller has looked at anything here; start one: foresail up")

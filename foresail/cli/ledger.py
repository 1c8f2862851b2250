"""`foresail ledger`: whether the record of decisions is intact, and what it says."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING
from foresail.cli.output import print_json
from foresail.cli.session import JsonOption, SettingsOption, session_of

if TYPE_CHECKING:
    from autoscaler.ledger import LedgerRecord

LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="A ledger file. Default: the one of the settings.",
        show_default=False,
    ),
]


def ledger_application() -> typer.Typer:
    """`verify` and `show`."""
    app = typer.Typer(
        help="The append-only record of decisions, effects and outcomes.",
        rich_markup_mode=None,
    )
    app.command("verify", epilog="Example: foresail ledger verify")(verify)
    app.command("show", epilog="Example: foresail ledger show --last 20 --kind decision")(show)
    return app


def verify(
    context: typer.Context,
    *,
    settings: SettingsOption = None,
    file: LedgerFile = None,
    as_json: JsonOption = False,
) -> None:
    """Says whether the ledger is intact. Exit 1 when it is not."""
    from autoscaler.ledger import verify_ledger

    path = _path(context, settings=settings, file=file)
    report = verify_ledger(path)
    if as_json:
        print_json(report)
    elif report.is_intact:
        print(f"{path} is intact: {report.record_count} records, head {report.head_hash}")
    else:
        print(f"{path} is NOT intact ({report.record_count} records read):")
        print("\n".join(f"  {finding}" for finding in report.findings))
    raise typer.Exit(0 if report.is_intact else FOUND_SOMETHING)


def show(
    context: typer.Context,
    *,
    settings: SettingsOption = None,
    file: LedgerFile = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the newest records.")] = 20,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only one kind: decision, effect or outcome.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prints the newest records, oldest first.

    Does not check them; `verify` does.
    """
    from autoscaler.ledger import RecordKind, read_records

    kinds = [each.value for each in RecordKind]
    if kind is not None and kind not in kinds:
        raise typer.BadParameter(f"{kind!r} is not one of: {', '.join(kinds)}", param_hint="--kind")
    path = _path(context, settings=settings, file=file)
    records = read_records(path, last=last, kind=kind)
    if as_json:
        print_json([_as_data(record) for record in records])
    else:
        for record in records:
            print(_line(record))
        if not records:
            print(
                f"foresail: no records{f' of kind {kind}' if kind else ''} in {path}",
                file=sys.stderr,
            )


def _path(context: typer.Context, *, settings: Path | None, file: Path | None) -> Path:
    return file or session_of(context).settings(settings).ledger_path


def _as_data(record: LedgerRecord) -> dict[str, object]:
    return {
        "seq": record.seq,
        "timestamp_seconds": record.timestamp_seconds,
        "kind": record.kind,
        "hash": record.hash.hex(),
        "body": _body(record),
    }


def _body(record: LedgerRecord) -> object:
    """The record's own JSON; as text when somebody damaged it."""
    try:
        return json.loads(record.body)
    except ValueError:
        return record.body.decode(errors="replace")


def _line(record: LedgerRecord) -> str:
    when = datetime.fromtimestamp(record.timestamp_seconds, UTC).isoformat(timespec="seconds")
    body = _body(record)
    told = _told(body) if isinstance(body, dict) else str(body)
    return f"{record.seq:>6}  {when}  {record.kind:<8}  {told}"


def _told(body: dict[str, object]) -> str:
    """What a decision, an effect or an outcome says, on one line, of the words it has."""
    action = body.get("action")
    what = body.get("kind") or (action.get("kind") if isinstance(action, dict) else None)
    direction = action.get("direction") if isinstance(action, dict) else None
    words = (
        body.get("service"), what, direction, body.get("phase"), body.get("reason"),
        body.get("verdict"), body.get("replica_id"), body.get("detail") or body.get("message"),
    )  # fmt: skip
    return "  ".join(str(word) for word in words if word)

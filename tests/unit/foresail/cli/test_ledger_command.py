"""`foresail ledger` over a ledger that was really written, and one that was really damaged."""

import json
import sqlite3
from pathlib import Path

import pytest
import structlog

from autoscaler.ledger import Ledger
from autoscaler.model.event import ReplicaDied
from collector.clock import VirtualClock
from collector.model.ids import ReplicaId, ServiceName, VariantName
from foresail.cli.main import main
from support.files import write_desk


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    path = write_desk(tmp_path)
    (tmp_path / ".foresail").mkdir()
    ledger = Ledger(
        tmp_path / ".foresail" / "ledger.sqlite",
        clock=VirtualClock(60.0),
        log=structlog.get_logger(),
    )
    for number in (1, 2):
        ledger.append_outcome(
            ReplicaDied(
                service=ServiceName("chat"),
                variant=VariantName("llama"),
                replica_id=ReplicaId(f"chat-{number}"),
                died_timestamp_seconds=60.0,
                lived_seconds=1.0,
                message="exit code 1",
            )
        )
    ledger.close()
    return path


def test_an_intact_ledger_verifies(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify", "-s", str(desk)], environ={}) == 0
    assert "is intact: 2 records, head " in capsys.readouterr().out
    assert main(["ledger", "verify", "-s", str(desk), "--json"], environ={}) == 0
    assert json.loads(capsys.readouterr().out)["record_count"] == 2


def test_a_changed_ledger_is_found(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = desk.parent / ".foresail" / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type='trigger'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
    connection.close()
    assert main(["ledger", "verify", "--file", str(path)], environ={}) == 1
    assert "is NOT intact" in capsys.readouterr().out


def test_records_are_shown(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "show", "-s", str(desk), "--last", "1"], environ={}) == 0
    assert capsys.readouterr().out == (
        "     2  1970-01-01T00:01:00+00:00  outcome   chat  replica_died  chat-2  exit code 1\n"
    )
    assert main(["ledger", "show", "-s", str(desk), "--json"], environ={}) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["body"]["replica_id"] for record in records] == ["chat-1", "chat-2"]


def test_no_record_of_a_kind_is_told_beside_the_output(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk.parent / ".foresail" / "ledger.sqlite"
    assert main(["ledger", "show", "--file", str(path), "--kind", "effect"], environ={}) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"foresail: no records of kind effect in {path}\n"


def test_a_ledger_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "verify", "--file", str(tmp_path / "none")], environ={}) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1

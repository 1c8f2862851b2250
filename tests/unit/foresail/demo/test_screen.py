"""The demo's live table, its lines, and its last words on a terminal."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from foresail.demo.screen import change_lines, print_summary, screen, services_table
from foresail.http.decision_view import decision_body
from foresail.http.state_view import state_body
from support.fake_controller import busy_past, busy_report, empty_report

HOSTILE = "[red]x[/] [/bold] :boom: [link=http://x]"


def shown(renderable: RenderableType, *, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(renderable)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def busy_state() -> dict[str, Any]:
    return state_body(busy_report()).model_dump(mode="json")


def changes() -> list[dict[str, Any]]:
    """Newest first."""
    scaled = [each for each in busy_past() if each.action.kind == "scale"]
    return [decision_body(each).model_dump(mode="json") for each in reversed(scaled)]


def test_without_a_controller_it_waits_for_one() -> None:
    text = shown(screen(None, changes=[], elapsed_seconds=3.2, total_seconds=180.0))
    assert "3 s of 180 s" in text
    assert "waiting for the controller" in text


def test_a_controller_that_knows_nothing_yet_is_shown() -> None:
    state = state_body(empty_report()).model_dump(mode="json")
    text = shown(screen(state, changes=[], elapsed_seconds=0.0, total_seconds=180.0))
    assert "service" in text
    assert "decisions" in text


def test_a_busy_desk_is_shown_with_unknown_numbers_as_unknown() -> None:
    text = shown(screen(busy_state(), changes=changes(), elapsed_seconds=60.0, total_seconds=180.0))
    rows = {line.split()[1]: line for line in text.splitlines() if line.startswith("│")}
    assert {"chat", "code", "embed"} <= rows.keys()
    assert "S S L" in rows["chat"]
    assert "99.6 %" in rows["chat"]
    assert "?" in rows["embed"]  # no request of it was ever judged
    assert "surplus" in text


def test_on_eighty_columns_names_numbers_and_reasons_are_whole() -> None:
    text = shown(
        screen(busy_state(), changes=changes(), elapsed_seconds=60.0, total_seconds=180.0), width=80
    )
    assert "…" not in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "S S L" in rows["chat"]
    assert "99.6 %" in rows["chat"]
    assert "scale in 2 → 1" in text
    assert "fewer were enough for the whole hold" in text
    assert "S serving, L loading, P pending, D draining" in text


@pytest.mark.parametrize("width", [1, 20, 80, 400])
def test_any_width_will_do(width: int) -> None:
    assert shown(
        screen(busy_state(), changes=changes(), elapsed_seconds=1.0, total_seconds=2.0),
        width=width,
    )


def test_a_service_without_objective_replica_or_decision_is_a_row() -> None:
    state = busy_state()
    state["services"] = [
        {**state["services"][0], "objectives": [], "replicas": [], "last_decision": None}
    ]
    (row,) = [line for line in shown(services_table(state)).splitlines() if "chat" in line]
    assert row.count("none") == 2


def hostile(value: Any) -> Any:
    """The same JSON with every text replaced."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        return {name: hostile(each) for name, each in value.items()}
    return [hostile(each) for each in value] if isinstance(value, list) else value


def test_a_bracket_in_a_text_is_no_markup() -> None:
    state, changed = hostile(busy_state()), hostile(changes())
    text = shown(screen(state, changes=changed, elapsed_seconds=1.0, total_seconds=2.0), width=900)
    assert text.count(HOSTILE) >= 3 * 4 + 5


def test_each_change_is_said_once_oldest_first() -> None:
    said: set[str] = set()
    newest, older = (
        {
            "decision_id": number,
            "service": "chat",
            "action_words": f"scale out to {number}",
            "reason_words": "a queue",
        }
        for number in ("2", "1")
    )
    assert list(change_lines([older], said=said)) == ["chat: scale out to 1 (a queue)"]
    assert list(change_lines([newest, older], said=said)) == ["chat: scale out to 2 (a queue)"]
    assert list(change_lines([newest, older], said=said)) == []


def make_document(*, name: str = "chat", known: bool = True) -> dict[str, Any]:
    number = 0.5 if known else None
    return {
        "duration_seconds": 180.2,
        "machine_busy_ratio": number,
        "requests": {"sent": 5, "ok": 3, "failed": 1, "cancelled": 1, "failures": {}},
        "services": [
            {
                "name": name,
                "tier": name,
                "attainment_ratio": number,
                "target_ratio": number,
                "ttft_seconds": {"p50": number, "p95": number, "p99": number},
                "engine_seconds": 61.0,
                "always_on_engine_seconds": 360.4,
            }
        ],
        "decisions": [
            {
                "at_seconds": 7.54,
                "service": name,
                "direction": "out",
                "from_replicas": 1,
                "to_replicas": 2,
                "reason": "backlog",
                "outcome": "done",
            }
        ],
        "ledger": {"records": 42, "verified": True},
    }


@pytest.fixture(name="console")
def _console() -> Console:
    return Console(file=StringIO(), width=120, color_system=None)


def told(document: dict[str, Any], *, console: Console) -> str:
    print_summary(document, console=console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_end_tells_requests_services_decisions_and_ledger(console: Console) -> None:
    text = told(make_document(), console=console)
    assert "5 requests sent, 3 ok, 1 failed, 1 cancelled in 180 s; machine 50.0 % busy" in text
    assert "7.5 s  chat   out 1 to 2  backlog: done" in text
    assert text.endswith("ledger: 42 records, verified\n")


def test_unknown_numbers_of_the_end_are_question_marks(console: Console) -> None:
    text = told(make_document(known=False), console=console)
    assert "machine ? busy" in text
    (row,) = [line for line in text.splitlines() if line.startswith("chat")]
    assert row.count("?") == 5


def test_a_miss_on_a_machine_that_was_busy_throughout_is_put_into_words(console: Console) -> None:
    document = make_document()
    document["machine_busy_ratio"] = 0.99
    assert "The processor was busy" not in told(document, console=console)
    document["services"][0]["target_ratio"] = 0.95
    assert "The processor was busy throughout" in told(document, console=console)


def test_the_end_fits_eighty_columns() -> None:
    text = told(make_document(name="batch"), console=Console(file=StringIO(), width=80))
    assert "always on" in text.splitlines()[2]
    assert "…" not in text


def test_a_broken_ledger_is_told(console: Console) -> None:
    document = make_document()
    document["ledger"]["verified"] = False
    assert "NOT INTACT" in told(document, console=console)


def test_names_at_the_end_are_no_markup_either(console: Console) -> None:
    text = told(make_document(name="[red]x[/]"), console=console)
    assert text.count("[red]x[/]") == 3

"""Tables as people see them: on a narrow terminal nothing is cut off."""

import contextlib
import io

from foresail.cli.output import print_table


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        """As of a terminal."""
        return True


def test_a_narrow_terminal_folds_names_and_cuts_none(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    series = "vllm:time_to_first_token_seconds"
    with contextlib.redirect_stdout(Terminal()) as terminal:
        print_table(("signal", "series"), [("time_to_first_token", series)])
    shown = terminal.getvalue()
    assert "…" not in shown
    rows = [line.split() for line in shown.splitlines()[2:] if line.strip()]
    assert "".join(words[-1] for words in rows) == series
    assert len(rows) > 1


def test_a_terminal_without_room_for_all_columns_shows_the_essential_ones_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    columns, row = ("policy", "knob", "hours"), ("hpa_concurrency", "target_requests = 3", "211.5")
    with contextlib.redirect_stdout(Terminal()) as terminal:
        assert not print_table(columns, [row], essential=("policy", "hours"))
    head, _, line = terminal.getvalue().splitlines()
    assert "knob" not in head
    assert line.split() == ["hpa_concurrency", "211.5"]
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.redirect_stdout(Terminal()) as terminal:
        assert print_table(columns, [row], essential=("policy", "hours"))
    assert "target_requests = 3" in terminal.getvalue()

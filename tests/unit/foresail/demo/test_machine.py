"""How busy the machine is."""

from pathlib import Path

import pytest

from foresail.demo.machine import BusyMeter, core_count

BEFORE = "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 100 0 50 800 50 0 0 0 0 0\n"


def test_there_is_at_least_one_core() -> None:
    assert core_count() >= 1


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [
        pytest.param(BEFORE, "cpu  150 0 100 880 70 0 0 0 0 0\n", 0.5, id="half"),
        pytest.param(
            BEFORE, "cpu  100 0 50 900 100 0 0 0 0 0\n", 0.0, id="idle-and-waiting-for-io"
        ),
        pytest.param(BEFORE, "cpu  150 10 60 800 50 10 10 10 0 0\n", 1.0, id="all-busy-kinds"),
        pytest.param(BEFORE, "cpu  150 0 100 880 70 0 0 0 40 0\n", 0.5, id="guests-are-users-too"),
        pytest.param(BEFORE, BEFORE, None, id="no-time-has-passed"),
        pytest.param(BEFORE, "nonsense\n", None, id="unreadable-later"),
        pytest.param("", BEFORE, None, id="unreadable-at-first"),
        pytest.param(None, BEFORE, None, id="not-there-at-first"),
        pytest.param(BEFORE, None, None, id="gone-later"),
        pytest.param(BEFORE, "cpu  1 2 3\n", None, id="cut-off"),
    ],
)
def test_busy_ratio(
    *, tmp_path: Path, before: str | None, after: str | None, ratio: float | None
) -> None:
    path = tmp_path / "stat"
    write(path, before)
    meter = BusyMeter(stat_path=path)
    write(path, after)
    assert meter.busy_ratio() == ratio


def write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text)


def test_this_machine_can_be_read() -> None:
    ratio = BusyMeter().busy_ratio()
    assert ratio is None or 0 <= ratio <= 1

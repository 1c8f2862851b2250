"""Doubt is data: missing is never zero."""

import pytest

from collector.model.reading import Number, aged, fresh_value, known_value
from support.builders import NOW, UNREAD, fresh, stale


@pytest.mark.parametrize(
    ("reading", "fresh_one", "known_one"),
    [
        pytest.param(fresh(5.0), 5.0, 5.0, id="fresh"),
        pytest.param(fresh(0.0), 0.0, 0.0, id="a-measured-zero-is-a-zero"),
        pytest.param(stale(5.0), None, 5.0, id="stale"),
        pytest.param(UNREAD, None, None, id="missing"),
    ],
)
def test_what_may_be_decided_on_and_what_is_only_shown(
    reading: Number, fresh_one: float | None, known_one: float | None
) -> None:
    assert (fresh_value(reading), known_value(reading)) == (fresh_one, known_one)


@pytest.mark.parametrize(
    ("observed", "kind"),
    [
        pytest.param(NOW, "fresh", id="now"),
        pytest.param(NOW - 20, "fresh", id="just-young-enough"),
        pytest.param(NOW - 20.1, "stale", id="too-old"),
        pytest.param(NOW + 5, "fresh", id="clocks-differ-a-little"),
        pytest.param(NOW + 3600, "stale", id="clock-was-set-back"),
    ],
)
def test_a_reading_far_from_now_is_stale(observed: float, kind: str) -> None:
    old = aged(fresh(5.0, at=observed), now_timestamp_seconds=NOW, limit_seconds=20.0)
    assert old.kind == kind
    assert known_value(old) == 5.0


@pytest.mark.parametrize(
    "reading", [pytest.param(UNREAD, id="missing"), pytest.param(stale(1.0), id="stale")]
)
def test_age_makes_nothing_fresh_again(reading: Number) -> None:
    assert aged(reading, now_timestamp_seconds=NOW, limit_seconds=1e9) is reading

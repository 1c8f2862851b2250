"""What an overflow has cost, out of counters that restart and go missing."""

import pytest

from autoscaler.model.overflow import OverflowState, Spending
from autoscaler.plan.spending import spent_last_hour, with_spending
from support.builders import NOW, make_overflow, make_view

MILLION = 1e6


def after(
    *looks: tuple[float, float | None, float | None], state: OverflowState | None = None
) -> OverflowState:
    """The state after looks of (seconds from now, millions of prompt tokens, of output tokens)."""
    known = state or OverflowState()
    for seconds, prompt, output in looks:
        numbers = {
            "overflow_prompt_tokens_total": prompt,
            "overflow_output_tokens_total": output,
        }
        told = {name: value * MILLION for name, value in numbers.items() if value is not None}
        at = NOW + seconds
        view = make_view(at=at, **told)
        known = with_spending(known, view=view, overflow=make_overflow(), now=at)
    return known


@pytest.mark.parametrize(
    ("looks", "cost"),
    [
        pytest.param([(0, 0, 0)], 0.0, id="nothing-yet"),
        pytest.param([(0, 0, 0), (15, 1, 2)], 5.0, id="tokens-times-prices"),
        pytest.param([(0, 1, 1)], 3.0, id="the-first-look-counts-all-that-was"),
        pytest.param([(0, 5, 5), (15, 1, 0)], 15.0 + 1.0, id="a-counter-that-began-anew"),
        pytest.param([(0, 0, 0), (15, 1, 0), (15 + 3660, 1, 0)], 0.0, id="an-hour-later"),
        pytest.param(
            [(0, 0, 0), (1, 1, 0), (60, 5, 0), (3630, 5, 0)], 5.0, id="not-an-hour-after-its-last"
        ),
        pytest.param([(0, 0, 0), (15, None, 1)], None, id="one-is-missing"),
        pytest.param([(0, 0, 0), (15, None, None), (30, 1, 0)], 1.0, id="and-comes-back"),
    ],
)
def test_spending(looks: list, cost: float | None) -> None:
    assert spent_last_hour(after(*looks), now=NOW + looks[-1][0]) == cost


def test_without_a_view_nothing_is_known() -> None:
    state = with_spending(OverflowState(), view=None, overflow=make_overflow(), now=NOW)
    assert spent_last_hour(state, now=NOW) is None


def test_an_hour_of_looks_is_kept_by_the_minute() -> None:
    looks = [(5.0 * k, k / 1000, 0.0) for k in range(1, 1000)]
    state = after((0, 0, 0), *looks)
    assert len(state.spending) <= 62
    assert spent_last_hour(state, now=NOW + 4995.0) == pytest.approx(0.73, abs=0.02)


def test_a_clock_that_went_back_forgives_nothing() -> None:
    state = OverflowState(
        is_counted=True, spending=(Spending(timestamp_seconds=NOW + 500, cost=2.0),)
    )
    assert spent_last_hour(state, now=NOW) == 2.0

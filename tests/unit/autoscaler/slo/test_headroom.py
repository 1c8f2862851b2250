"""The margin over demand follows the error budget."""

import pytest

from autoscaler.slo.headroom import headroom_deviates


@pytest.mark.parametrize(
    ("burn_rate", "watched_ratio", "deviates"),
    [
        pytest.param(None, 1.0, 1.5, id="nothing-judged-yet"),
        pytest.param(1.0, 1.0, 1.75, id="spends-exactly-its-budget"),
        pytest.param(2.0, 1.0, 2.15, id="twice-that"),
        pytest.param(0.5, 1.0, 1.35, id="half-of-it"),
        pytest.param(0.0, 1.0, -0.5, id="spends-nothing"),
        pytest.param(1e9, 1.0, 3.0, id="burns-without-bound"),
        pytest.param(1e9, 0.0, 1.5, id="a-bad-first-moment-is-no-bad-service"),
        pytest.param(1e9, 0.5, 2.25, id="half-known-counts-half"),
    ],
)
def test_the_margin_follows_the_burn(
    burn_rate: float | None, watched_ratio: float, deviates: float
) -> None:
    assert headroom_deviates(burn_rate, watched_ratio=watched_ratio) == pytest.approx(deviates)

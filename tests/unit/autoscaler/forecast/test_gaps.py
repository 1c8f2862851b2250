"""What nobody measured is taken to lie between what came before and after."""

import numpy as np
import pytest

from autoscaler.forecast.gaps import bridged
from autoscaler.model.demand import DemandSeries

BIN = 15.0


def seen(*values: float | None) -> DemandSeries:
    rates = np.array([each or 0.0 for each in values])
    return DemandSeries(
        bin_seconds=BIN,
        requests_per_second=rates,
        prompt_tokens_per_second=10 * rates,
        output_tokens_per_second=3 * rates,
        covered_seconds=np.array([0.0 if each is None else BIN for each in values]),
        work=22 * rates,
    )


@pytest.mark.parametrize(
    ("values", "filled"),
    [
        pytest.param((1.0, 2.0, 3.0), [1.0, 2.0, 3.0], id="whole"),
        pytest.param((4.0, 4.0, None, None, None, 8.0), [4, 4, 5, 6, 7, 8], id="along-a-line"),
        pytest.param(
            (2.0, 6.0, None, 4.0, 4.0), [2, 6, 4, 4, 4], id="from-the-mean-of-each-side"
        ),
        pytest.param((2.0, None, 4.0, None, 4.0), [2, 3, 4, 3.5, 4], id="each-gap-by-itself"),
    ],
)  # fmt: skip
def test_a_gap_is_bridged(values: tuple[float | None, ...], filled: list[float]) -> None:
    found = bridged(seen(*values))
    assert found.requests_per_second.tolist() == pytest.approx(filled)
    assert found.prompt_tokens_per_second.tolist() == pytest.approx([10 * each for each in filled])
    assert found.output_tokens_per_second.tolist() == pytest.approx([3 * each for each in filled])
    assert found.work.tolist() == pytest.approx([22 * each for each in filled])
    assert found.covered_seconds.tolist() == [BIN] * len(values)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((None, None, 3.0), id="before-the-first"),
        pytest.param((3.0, None, None), id="after-the-last"),
        pytest.param((None, None), id="nothing-known"),
        pytest.param((1.0, *[None] * 81, 1.0), id="too-long"),
    ],
)
def test_where_nothing_tells_the_gap_stays(values: tuple[float | None, ...]) -> None:
    series = seen(*values)
    found = bridged(series)
    assert found.work.tolist() == series.work.tolist()
    assert found.covered_seconds.tolist() == series.covered_seconds.tolist()


def test_a_measured_zero_is_no_gap() -> None:
    assert bridged(seen(5.0, 0.0, 5.0)).requests_per_second.tolist() == [5.0, 0.0, 5.0]

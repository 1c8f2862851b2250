"""What can honestly be said from buckets."""

from typing import Any

import pytest

from collector.model.histogram import Histogram, good_count, histogram_increase, quantile


def histogram(*counts: float, edges: tuple[float, ...] = (0.5, 1.0, 2.0), sum: float = 0.0):
    return Histogram(upper_bounds=edges, counts=counts, sum=sum)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"counts": (1.0, 2.0)}, "exactly one more", id="too-few-counts"),
        pytest.param({"upper_bounds": (1.0, 1.0, 2.0)}, "rise strictly", id="equal-edges"),
        pytest.param({"upper_bounds": (2.0, 1.0, 3.0)}, "rise strictly", id="falling-edges"),
        pytest.param({"counts": (1.0, -1.0, 0.0, 0.0)}, "must not be negative", id="negative"),
    ],
)
def test_a_histogram_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    given = {"upper_bounds": (0.5, 1.0, 2.0), "counts": (0.0,) * 4, "sum": 0.0, **fields}
    with pytest.raises(ValueError, match=message):
        Histogram(**given)


@pytest.mark.parametrize(
    ("threshold", "good"),
    [
        pytest.param(0.5, 10.0, id="first-edge"),
        pytest.param(1.0, 15.0, id="middle-edge"),
        pytest.param(2.0, 18.0, id="last-edge"),
        pytest.param(1.0 + 1e-12, 15.0, id="an-edge-but-for-rounding"),
        pytest.param(0.7, None, id="between-edges-would-be-a-guess"),
        pytest.param(9.0, None, id="above-all-edges"),
        pytest.param(0.0, None, id="below-all-edges"),
    ],
)
def test_good_events_are_counted_at_edges_only(threshold: float, good: float | None) -> None:
    assert good_count(histogram(10.0, 5.0, 3.0, 2.0), threshold=threshold) == good


@pytest.mark.parametrize(
    ("counts", "q", "value"),
    [
        pytest.param((10.0, 0.0, 0.0, 0.0), 0.5, 0.25, id="interpolated-in-the-first"),
        pytest.param((10.0, 10.0, 0.0, 0.0), 0.75, 0.75, id="interpolated-in-the-second"),
        pytest.param((10.0, 0.0, 10.0, 0.0), 0.5, 0.5, id="at-an-edge"),
        pytest.param((1.0, 0.0, 0.0, 9.0), 0.99, 2.0, id="above-the-last-edge-a-lower-bound"),
        pytest.param((0.0, 0.0, 4.0, 0.0), 0.0, 1.0, id="minimum"),
        pytest.param((0.0, 0.0, 4.0, 0.0), 1.0, 2.0, id="maximum"),
        pytest.param((0.5, 0.25, 0.25, 0.0), 0.5, 0.5, id="fractional-counts"),
        pytest.param((0.0, 0.0, 0.0, 0.0), 0.5, None, id="empty"),
    ],
)
def test_quantiles_are_interpolated(
    counts: tuple[float, ...], q: float, value: float | None
) -> None:
    found = quantile(histogram(*counts), q=q)
    assert found == (None if value is None else pytest.approx(value))


def test_a_histogram_without_edges_has_no_quantile() -> None:
    assert quantile(histogram(5.0, edges=()), q=0.5) is None


def test_the_increase_is_per_bucket() -> None:
    before, after = histogram(1.0, 1.0, 0.0, 0.0, sum=1.0), histogram(3.0, 1.0, 2.0, 1.0, sum=9.0)
    assert histogram_increase(after, previous=before) == histogram(2.0, 0.0, 2.0, 1.0, sum=8.0)


@pytest.mark.parametrize(
    "previous",
    [
        pytest.param(None, id="first-look"),
        pytest.param(histogram(9.0, 0.0, 0.0, 0.0), id="a-bucket-fell-so-it-restarted"),
        pytest.param(histogram(0.0, 0.0, edges=(1.0,)), id="other-edges"),
    ],
)
def test_everything_counts_after_a_restart(previous: Histogram | None) -> None:
    now = histogram(3.0, 1.0, 2.0, 1.0, sum=9.0)
    assert histogram_increase(now, previous=previous) == now


def test_a_bucket_that_wanders_by_rounding_is_no_restart() -> None:
    before = histogram(0.1 + 0.2, 10.0, 0.0, 0.0)
    increase = histogram_increase(histogram(0.3, 11.0, 0.0, 0.0), previous=before)
    assert increase.counts == (0.0, 1.0, 0.0, 0.0)

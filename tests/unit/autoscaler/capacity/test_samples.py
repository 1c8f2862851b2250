"""Quantiles and outliers of short samples."""

import pytest

from autoscaler.capacity.samples import sample_quantile, without_outliers


@pytest.mark.parametrize(
    ("samples", "q", "expected"),
    [
        pytest.param((7.0,), 0.9, 7.0, id="one"),
        pytest.param((3.0, 1.0), 0.5, 2.0, id="between-two"),
        pytest.param((4.0, 1.0, 3.0, 2.0), 0.0, 1.0, id="least"),
        pytest.param((4.0, 1.0, 3.0, 2.0), 1.0, 4.0, id="largest"),
        pytest.param(tuple(float(i) for i in range(11)), 0.9, 9.0, id="ninth-of-ten"),
    ],
)
def test_a_quantile_lies_between_its_neighbours(
    samples: tuple[float, ...], q: float, expected: float
) -> None:
    assert sample_quantile(samples, q) == pytest.approx(expected)


def test_no_samples_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        sample_quantile((), 0.5)


@pytest.mark.parametrize(
    ("samples", "kept"),
    [
        pytest.param((), (), id="none"),
        pytest.param((1.0, 100.0), (1.0, 100.0), id="two-cannot-judge-each-other"),
        pytest.param((1.0, 1.1, 0.9, 5.0), (1.0, 1.1, 0.9), id="far-one-goes"),
        pytest.param(
            (1.0, 1.0, 1.0, 1.04), (1.0, 1.0, 1.0, 1.04), id="equal-ones-tolerate-a-little"
        ),
        pytest.param((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), id="zeros"),
    ],
)
def test_outliers_are_far_from_the_median(
    samples: tuple[float, ...], kept: tuple[float, ...]
) -> None:
    assert without_outliers(samples, max_deviations=3.5) == kept

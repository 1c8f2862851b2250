"""Lead time and footprint: measured if possible, else a careful default."""

import pytest

from autoscaler.capacity.lead_time import footprint_bytes, lead_time_seconds
from autoscaler.model.state import VariantState
from collector.model.catalogue import ProcessTarget, Target, UrlTarget
from support.builders import make_variant
from support.units import make_split_variant


@pytest.mark.parametrize(
    ("target", "measured", "expected"),
    [
        pytest.param(ProcessTarget(command=("x",)), (), 60.0, id="unmeasured"),
        pytest.param(
            ProcessTarget(command=("x",), startup_timeout_seconds=20.0),
            (),
            20.0,
            id="short-timeout",
        ),
        pytest.param(UrlTarget(urls=("http://a",)), (), 60.0, id="somebody-elses"),
        pytest.param(ProcessTarget(command=("x",)), (7.0,), 7.0, id="one-start"),
        pytest.param(
            ProcessTarget(command=("x",)), tuple(float(i) for i in range(11)), 9.0, id="p90"
        ),
        pytest.param(ProcessTarget(command=("x",)), (-30.0,), 0.0, id="clock-went-back"),
    ],
)
def test_lead_time(target: Target, measured: tuple[float, ...], expected: float) -> None:
    variant = make_variant(target=target)
    state = VariantState(lead_time_seconds=measured)
    assert lead_time_seconds(variant, state=state) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        pytest.param((), 10_000, id="unmeasured-as-declared"),
        pytest.param((1000, 2000, 1500), 2200, id="the-largest-and-a-tenth"),
        pytest.param((9500,), 10_000, id="no-margin-beyond-what-was-declared"),
        pytest.param((10_000,), 10_000, id="as-declared"),
        pytest.param((12_000,), 12_000, id="more-than-was-declared"),
    ],
)
def test_a_footprint_is_measured_once_it_can_be(measured: tuple[int, ...], expected: int) -> None:
    variant = make_variant(memory_bytes=10_000)
    assert footprint_bytes(variant, state=VariantState(footprint_bytes=measured)) == expected


def test_what_one_engine_held_is_not_what_a_unit_holds() -> None:
    unit = make_split_variant(memory_bytes=30_000)
    assert footprint_bytes(unit, state=VariantState(footprint_bytes=(9000,))) == 30_000

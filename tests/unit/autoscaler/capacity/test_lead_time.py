"""Lead time and footprint: measured if possible, else a careful default."""

import pytest
from support.builders import GIB, make_variant

from autoscaler.capacity.lead_time import footprint_bytes, lead_time_seconds
from autoscaler.model.state import VariantState
from collector.model.catalogue import ProcessTarget, Target, UrlTarget


@pytest.mark.parametrize(
    ("target", "measured", "expected"),
    [
        pytest.param(ProcessTarget(command=("x",)), (), 60.0, id="unmeasured"),
        pytest.param(
            ProcessTarget(command=("x",), startup_timeout_seconds=20.0), (), 20.0, id="short-timeout"
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


def test_an_unmeasured_footprint_is_as_declared() -> None:
    assert footprint_bytes(make_variant(memory_bytes=GIB), state=VariantState()) == GIB


def test_a_measured_footprint_is_the_largest_and_a_tenth() -> None:
    state = VariantState(footprint_bytes=(1000, 2000, 1500))
    assert footprint_bytes(make_variant(memory_bytes=GIB), state=state) == 2200

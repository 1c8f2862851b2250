"""Small rules of the emulated engine: counting many at once, rows, settings, the accelerator's page."""

import pytest

from collector.clock import VirtualClock
from collector.errors import ConfigurationError
from foresail.emulate.engine import EmulatedEngine
from foresail.emulate.gpu import GpuPage
from foresail.emulate.metric_page import Histogram
from foresail.emulate.performance import read_row, read_rows
from support.emulated import settings

EDGES = (0.01, 0.025, 0.05, 0.1)


@pytest.mark.parametrize(
    ("first", "growth", "length"),
    [
        pytest.param(0.004, 0.0, 7, id="constant"),
        pytest.param(0.004, 0.001, 200, id="through-all-buckets"),
        pytest.param(0.01, 0.005, 9, id="on-the-edges"),
        pytest.param(0.2, 0.01, 5, id="above-the-last-edge"),
        pytest.param(0.02, 0.5, 1, id="one"),
    ],
)
def test_a_series_counted_at_once_is_each_value_counted(first, growth, length):
    at_once = Histogram(name="x", edges=EDGES, now=0.0)
    at_once.observe_series(first=first, growth=growth, length=length, times=3, labels=())
    singly = Histogram(name="x", edges=EDGES, now=0.0)
    for number in range(length):
        singly.observe(first + growth * number, labels=(), times=3)
    assert at_once.child(()).counts == singly.child(()).counts
    assert at_once.child(()).sum == pytest.approx(singly.child(()).sum)


def test_every_bundled_row_can_be_read():
    rows = read_rows()
    assert len(rows) == 16
    assert all(name == row.name for name, row in rows.items())
    assert rows["llama-3.1-8b-h100-tp1"].costs.floor_picoseconds == 6_355_000_000
    assert rows["llama-3.1-8b-h100-tp1"].costs.context_token_picoseconds == 43_000


def test_an_unknown_row_is_refused_with_all_that_exist():
    with pytest.raises(ConfigurationError, match=r"no performance row 'x'; give one of: gpt-oss"):
        read_row("x")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        pytest.param({"speed": 0.0}, "--speed is 0", id="speed"),
        pytest.param({"kv_capacity_tokens": 100}, "--max-model-len 1024 does not fit", id="kv"),
        pytest.param({"max_step_tokens": 4}, "max_sequence_count is 256, above", id="step"),
    ],
)
def test_settings_that_cannot_work_are_refused(chosen, message):
    with pytest.raises(ConfigurationError, match=message):
        settings(**chosen)


async def test_an_idle_accelerator_draws_idle_power_and_holds_its_memory():
    clock = VirtualClock()
    engine = EmulatedEngine(settings(speed=1.0), clock=clock)
    page = GpuPage(engines=[engine], hostname="box")
    await clock.advance(10)
    lines = dict(line.rsplit(" ", 1) for line in page.text().splitlines() if line[0] != "#")
    by_name = {key.partition("{")[0]: float(value) for key, value in lines.items()}
    assert by_name["DCGM_FI_DEV_GPU_UTIL"] == 0
    assert by_name["DCGM_FI_DEV_POWER_USAGE"] == pytest.approx(42)
    assert by_name["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == pytest.approx(420_000)
    assert by_name["DCGM_FI_DEV_FB_USED"] == 41_456

"""The machine's memory, from a /proc made for the test."""

import pytest

from collector.clock import VirtualClock
from collector.model.reading import Fresh, Missing, MissingReason
from collector.sources.host_memory import HostMemoryProbe

MEMINFO = """MemTotal:       127600748 kB
MemFree:          123456 kB
MemAvailable:   98765432 kB
SwapFree:              0 kB
"""
PRESSURE = """some avg10=0.00 avg60=1.00 avg300=0.50 total=1500000
full avg10=0.00 avg60=0.00 avg300=0.00 total=250000
"""


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "pressure").mkdir()
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "pressure" / "memory").write_text(PRESSURE)
    return tmp_path


def look(proc):
    return HostMemoryProbe(clock=VirtualClock(50.0), proc=proc).host_memory()


def test_memory_and_pressure_are_told_in_base_units(proc):
    seen = look(proc)
    assert seen.total_bytes == Fresh(
        value=127_600_748 * 1024, observed_timestamp_seconds=50.0, source="proc"
    )
    assert seen.available_bytes.value == 98_765_432 * 1024
    assert seen.swap_free_bytes.value == 0
    assert seen.pressure_waiting_seconds_total.value == 1.5
    assert seen.pressure_stalled_seconds_total.value == 0.25


def test_a_kernel_without_pressure_has_no_zero_of_it(proc):
    (proc / "pressure" / "memory").unlink()
    assert look(proc).pressure_waiting_seconds_total == Missing(
        reason=MissingReason.CANNOT_SEE, source="proc"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, MissingReason.SOURCE_UNREACHABLE, id="no-file"),
        pytest.param("MemFree: 1 kB\n", MissingReason.SERIES_ABSENT, id="no-line"),
        pytest.param("MemAvailable: many kB\n", MissingReason.NOT_A_NUMBER, id="no-number"),
        pytest.param("MemAvailable:\n", MissingReason.NOT_A_NUMBER, id="cut"),
    ],
)
def test_what_cannot_be_read_is_missing(proc, content, reason):
    if content is None:
        (proc / "meminfo").unlink()
    else:
        (proc / "meminfo").write_text(content)
    assert look(proc).available_bytes == Missing(reason=reason, source="proc")

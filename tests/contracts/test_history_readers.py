"""What a question to any history must answer, wherever the past is kept: memory, day files, Prometheus.

Here the past is given as scrapes, one a second, since that is all Prometheus can be given: they are
written into its database, and appended to the others second by second.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.history.backfilled import BackfilledHistory
from collector.history.day_files import DayFileHistory
from collector.history.memory import MemoryHistoryStore
from collector.history.prometheus import GatewayScrapes, PrometheusHistory
from collector.model.catalogue import Catalogue
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName
from collector.sources.prometheus_api import PrometheusAddress, PrometheusApi
from support.builders import make_catalogue, make_service
from support.engines import free_port, stop, wait_until

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
CHAT, EMBED = ServiceName("chat"), ServiceName("embed")
FINE, COARSE = (
    Resolution(bin_seconds=10.0, keep_seconds=100.0),
    Resolution(bin_seconds=50.0, keep_seconds=500.0),
)
SCRAPED = GatewayScrapes(interval_seconds=1.0, match={"job": "gateway"})
BASE = 1_700_000_000  # a multiple of both widths

Past = Mapping[ServiceName, Mapping[int, tuple[float, float]]]
"""{service: {second: (arrived in all until then, pending)}}; a second that is absent was not read."""


def memory(past: Past, folder: Path) -> Iterator[MemoryHistoryStore]:
    store = MemoryHistoryStore(
        bin_seconds=FINE.bin_seconds, keep_seconds=FINE.keep_seconds, coarser=(COARSE,)
    )
    append_all(store, past)
    yield store


def day_files(past: Past, folder: Path) -> Iterator[DayFileHistory]:
    def opened() -> DayFileHistory:
        return DayFileHistory(folder, finest=FINE, coarser=(COARSE,), report=pytest.fail)

    store = opened()
    append_all(store, past)
    store.close()
    yield opened()


def append_all(store: MemoryHistoryStore | DayFileHistory, past: Past) -> None:
    for second in sorted({second for scrapes in past.values() for second in scrapes}):
        pairs = {
            service: (scrapes[second - 1], scrapes[second])
            for service, scrapes in past.items()
            if second in scrapes and second - 1 in scrapes
        }
        store.append(
            start_timestamp_seconds=BASE + second - 1,
            end_timestamp_seconds=BASE + second,
            increases={
                (Signal.ARRIVED_REQUESTS, service): new[0] - old[0]
                for service, (old, new) in pairs.items()
            },
            levels={
                (Signal.PENDING_REQUESTS, service): new[1] for service, (_, new) in pairs.items()
            },
        )


def prometheus(past: Past, folder: Path) -> Iterator[PrometheusHistory]:
    with filled_prometheus(past, folder) as api:
        yield PrometheusHistory(
            api,
            resolutions=(FINE, COARSE),
            scraped=SCRAPED,
            catalogue=two_services,
            report=pytest.fail,
        )


def backfilled(past: Past, folder: Path) -> Iterator[BackfilledHistory]:
    with filled_prometheus(past, folder) as api:
        store = BackfilledHistory(
            api,
            resolutions=(FINE, COARSE),
            scraped=SCRAPED,
            catalogue=two_services,
            report=pytest.fail,
        )
        errors = store.backfill(services=[CHAT, EMBED], now_timestamp_seconds=BASE + 99)
        assert errors == ()
        yield store


def two_services() -> Catalogue:
    return make_catalogue(make_service("chat"), make_service("embed"))


@contextlib.contextmanager
def filled_prometheus(past: Past, folder: Path) -> Iterator[PrometheusApi]:
    """A Prometheus that has scraped this."""
    fill_database(past, folder)
    port = free_port()
    (folder / "prometheus.yml").write_text("{}")
    command = [
        PROMETHEUS or "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    api = PrometheusApi(PrometheusAddress(url=url), clock=SystemClock())
    try:
        wait_until(
            lambda: api.query("vector(1)").error is None, what="Prometheus is ready", seconds=20
        )
        yield api
    finally:
        api.close()
        stop(process)


def fill_database(past: Past, folder: Path) -> None:
    lines = []
    for name, kind, column in (
        ("foresail_requests_arrived_total", "counter", 0),
        ("foresail_requests_in_flight", "gauge", 1),
        ("foresail_requests_held", "gauge", None),
    ):
        lines.append(f"# TYPE {name.removesuffix('_total')} {kind}")
        for service, scrapes in past.items():
            for second, values in scrapes.items():
                value = 0 if column is None else values[column]
                labels = f'service="{service}",job="gateway"'
                lines.append(f"{name}{{{labels}}} {value} {BASE + second}")
    (folder / "past.txt").write_text("\n".join([*lines, "# EOF", ""]))
    if any(past.values()):
        command = [PROMTOOL or "promtool", "tsdb", "create-blocks-from", "openmetrics"]
        subprocess.run([*command, "past.txt", "data"], cwd=folder, check=True, capture_output=True)


NEEDS_PROMETHEUS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None, reason="prometheus is not installed"
    ),
]
KINDS = [
    pytest.param(memory, id="memory"),
    pytest.param(day_files, id="day files"),
    pytest.param(prometheus, id="Prometheus", marks=NEEDS_PROMETHEUS),
    pytest.param(backfilled, id="memory backfilled from Prometheus", marks=NEEDS_PROMETHEUS),
]


@pytest.fixture(name="tell", params=KINDS)
def _tell(request: pytest.FixtureRequest, tmp_path: Path):
    """Makes a store that knows a past."""
    made = []

    def tell(past: Past):
        it = request.param(past, tmp_path)
        made.append(it)
        return next(it)

    yield tell
    for it in made:
        next(it, None)


def steady(seconds: Sequence[int], *, per_second: float = 1.0, pending: float = 0.0):
    return {second: (second * per_second, pending) for second in seconds}


def bins(
    store, now, *, window=30.0, bin_seconds=None, signal=Signal.ARRIVED_REQUESTS, service=CHAT
):
    history = store.history(
        services=[service],
        window_seconds=window,
        now_timestamp_seconds=BASE + now,
        bin_seconds=bin_seconds,
    )
    found = history.signals[signal]
    return found.sums[0].round(4).tolist(), found.covered_seconds[0].round(4).tolist()


def test_who_knows_nothing_says_so(tell):
    store = tell({})
    history = store.history(services=[CHAT], window_seconds=30, now_timestamp_seconds=BASE + 5)
    assert history.services == (CHAT,)
    assert history.bin_seconds == 10
    assert history.end_timestamp_seconds == BASE + 10
    assert set(history.signals) == set(Signal)
    for found in history.signals.values():
        assert found.sums.tolist() == found.covered_seconds.tolist() == [[0, 0, 0]]


def test_what_arrived_stands_in_its_bin(tell):
    store = tell({CHAT: {**steady(range(11)), **steady(range(11, 31), per_second=3)}})
    sums, covered = bins(store, 29)
    assert covered == [10, 10, 10]
    assert sums == [10, 50, 30]  # at 10 s it was 10, at 20 s 60, at 30 s 90


def test_a_measured_zero_has_cover_and_an_unmeasured_time_has_none(tell):
    store = tell({CHAT: steady([*range(11), *range(31, 61)], per_second=0)})
    sums, covered = bins(store, 59, window=60)
    assert sums == [0] * 6
    assert (covered[0], covered[2], covered[4:]) == (10, 0, [10, 10])


def test_services_are_apart_in_the_order_asked_for(tell):
    store = tell({CHAT: steady(range(31)), EMBED: steady(range(31), per_second=2)})
    history = store.history(
        services=[EMBED, ServiceName("none"), CHAT],
        window_seconds=20,
        now_timestamp_seconds=BASE + 29,
    )
    found = history.signals[Signal.ARRIVED_REQUESTS]
    assert found.sums.round(4).tolist() == [[20, 20], [0, 0], [10, 10]]
    assert found.covered_seconds.tolist() == [[10, 10], [0, 0], [10, 10]]


def test_a_level_counts_for_the_time_it_held(tell):
    store = tell({CHAT: steady(range(31), pending=3)})
    assert bins(store, 29, signal=Signal.PENDING_REQUESTS) == ([30, 30, 30], [10, 10, 10])


def test_a_signal_nobody_told_has_no_cover(tell):
    store = tell({CHAT: steady(range(31))})
    assert bins(store, 29, signal=Signal.OUTPUT_TOKENS) == ([0, 0, 0], [0, 0, 0])


def test_a_coarse_bin_is_what_its_fine_ones_are_together(tell):
    store = tell({CHAT: steady(range(101))})
    assert bins(store, 99, window=100, bin_seconds=50.0) == ([50, 50], [50, 50])


def test_another_width_is_refused(tell):
    with pytest.raises(ValueError, match="one of 10, 50, got 15"):
        bins(tell({}), 0, bin_seconds=15.0)

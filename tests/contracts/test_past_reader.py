"""What days of the past any history must tell: memory, day files, Prometheus.

Two requests a second for half an hour, seen every 15 s, then six; between them ten minutes that nobody saw.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from collector.clock import SystemClock
from collector.history.day_files import COARSER, DayFileHistory
from collector.history.memory import MemoryHistoryStore
from collector.history.past import ScrapedPast, StoredPast
from collector.history.prometheus import GatewayScrapes
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName
from collector.ports import PastAnswer, PastReader, RangeAnswer
from collector.sources.prometheus_api import PrometheusAddress, PrometheusApi
from support.builders import make_catalogue, make_service
from support.prometheus_server import PROMETHEUS, PROMTOOL, running_prometheus
from support.scraped_gateway import write_scrapes

CHAT, OTHER = ServiceName("chat"), ServiceName("other")
STEP = 15
BASE = (int(time.time()) - 8 * 3600) // 3600 * 3600  # what follows is over, and still kept
SEEN = [*range(0, 1801, STEP), *range(2400, 4201, STEP)]  # seconds since BASE
NOW = BASE + 4260.0
FINEST = Resolution(bin_seconds=15.0, keep_seconds=6 * 3600.0)
SCRAPED = GatewayScrapes(interval_seconds=float(STEP), match={"job": "gateway"})


def arrived(second: float) -> float:
    """In all until then."""
    return 2.0 * second if second <= 2100 else 4200.0 + 6.0 * (second - 2100)


def append_all(store: MemoryHistoryStore | DayFileHistory) -> None:
    for second in SEEN[1:]:
        if second - STEP in SEEN:
            requests = arrived(second) - arrived(second - STEP)
            store.append(
                start_timestamp_seconds=BASE + second - STEP,
                end_timestamp_seconds=BASE + second,
                increases={
                    (Signal.ARRIVED_REQUESTS, CHAT): requests,
                    (Signal.ADMITTED_PROMPT_TOKENS, CHAT): 100.0 * requests,
                    (Signal.COMPLETED_REQUESTS, CHAT): requests,
                    (Signal.OUTPUT_TOKENS, CHAT): 20.0 * requests,
                },
                levels={},
            )


@contextlib.asynccontextmanager
async def memory(folder: Path) -> AsyncIterator[PastReader]:
    store = MemoryHistoryStore(bin_seconds=15.0, keep_seconds=6 * 3600.0)
    append_all(store)
    yield StoredPast(store)


@contextlib.asynccontextmanager
async def day_files(folder: Path) -> AsyncIterator[PastReader]:
    before = DayFileHistory(folder, finest=FINEST, report=pytest.fail)
    append_all(before)
    before.close()
    store = DayFileHistory(folder, finest=FINEST, report=pytest.fail)
    yield StoredPast(store)
    store.close()


@contextlib.asynccontextmanager
async def five_minutes(folder: Path) -> AsyncIterator[PastReader]:
    """Day files whose minutes are no longer kept."""
    short = (Resolution(bin_seconds=60.0, keep_seconds=600.0), COARSER[1])
    store = DayFileHistory(folder, finest=FINEST, coarser=short, report=pytest.fail)
    append_all(store)
    yield StoredPast(store)
    store.close()


@contextlib.asynccontextmanager
async def prometheus(folder: Path) -> AsyncIterator[PastReader]:
    write_scrapes(
        folder / "past.txt",
        moments=[float(BASE + second) for second in SEEN],
        arrived={"chat": lambda at: arrived(at - BASE)},
        prompt_tokens=100.0,
        output_tokens=20.0,
    )
    async with running_prometheus(folder / "p", history=folder / "past.txt") as server:
        api = PrometheusApi(
            PrometheusAddress(url=server.url, timeout_seconds=10.0), clock=SystemClock()
        )
        with contextlib.closing(api):
            yield ScrapedPast(api, scraped=SCRAPED, catalogue=one_service)


def one_service():
    return make_catalogue(make_service("chat"))


KINDS = [
    pytest.param(memory, 15.0, id="memory"),
    pytest.param(day_files, 60.0, id="day files"),
    pytest.param(five_minutes, 300.0, id="day files of long ago"),
    pytest.param(
        prometheus,
        120.0,
        id="Prometheus",
        marks=pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus here"),
    ),
]
Opened = Callable[[Path], contextlib.AbstractAsyncContextManager[PastReader]]


async def ask(reader: PastReader, begin: float, end: float) -> PastAnswer:
    return await asyncio.to_thread(
        lambda: reader.read_past(
            services=[OTHER, CHAT],
            begin_timestamp_seconds=BASE + begin,
            end_timestamp_seconds=BASE + end,
            now_timestamp_seconds=NOW,
        )
    )


@pytest.mark.parametrize(("opened", "width"), KINDS)
async def test_the_past_is_told_in_closed_bins(
    opened: Opened, width: float, tmp_path: Path
) -> None:
    async with opened(tmp_path) as reader:
        answer = await ask(reader, 600, 3600)
    found = answer.history
    assert answer.errors == ()
    assert (found.services, found.bin_seconds) == ((OTHER, CHAT), width)
    assert found.end_timestamp_seconds == BASE + 3600
    rates, covered = found.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=3000.0)
    assert len(rates) == 3000 / width
    starts = 600 + width * np.arange(len(rates))
    early, unseen, late = starts < 1800, (starts >= 1800) & (starts < 2400), starts >= 2400
    # A rate over whole bins that were seen throughout; the first after a gap may be left out.
    assert rates[early] == pytest.approx(2.0, rel=0.02)
    assert rates[late][1:] == pytest.approx(6.0, rel=0.02)
    assert (covered[early] == width).all()
    assert (covered[late][1:] == width).all()
    assert not covered[unseen].any()
    prompt, _ = found.rates(Signal.ADMITTED_PROMPT_TOKENS, CHAT, window_seconds=1200.0)
    assert prompt == pytest.approx(600.0, rel=0.02)
    output, _ = found.rates(Signal.OUTPUT_TOKENS, CHAT, window_seconds=1200.0)
    assert output == pytest.approx(120.0, rel=0.02)


@pytest.mark.parametrize(("opened", "width"), KINDS[:3])
async def test_a_service_or_a_time_that_nobody_saw_has_no_cover(
    opened: Opened, width: float, tmp_path: Path
) -> None:
    async with opened(tmp_path) as reader:
        unseen = (await ask(reader, 600, 1200)).history
        before = (await ask(reader, -7200, -3600)).history
    assert not unseen.rates(Signal.ARRIVED_REQUESTS, OTHER, window_seconds=600.0)[1].any()
    assert not before.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=3600.0)[1].any()


class Ranges:
    """A `RangeReader` that fails, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read_range(self, expression: str, **_: float) -> RangeAnswer:
        self.asked.append(expression)
        return RangeAnswer(series=(), errors=("it is down",))


@pytest.mark.parametrize(
    ("interval_seconds", "width"), [(15.0, 120), (60.0, 120), (61.0, 300), (300.0, 600)]
)
async def test_scrapes_are_read_in_bins_that_hold_two_and_failures_are_said(
    interval_seconds: float, width: int
) -> None:
    ranges = Ranges()
    scraped = GatewayScrapes(interval_seconds=interval_seconds)
    answer = await ask(ScrapedPast(ranges, scraped=scraped, catalogue=one_service), 600, 1200)
    assert answer.errors == ("it is down",)
    assert len(ranges.asked) == 1
    assert f"[{width}s]" in ranges.asked[0]


def test_scrapes_too_far_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="one scrape in 301 s"):
        ScrapedPast(Ranges(), scraped=GatewayScrapes(interval_seconds=301.0), catalogue=one_service)

"""The past of a controller out of Prometheus, under what it has seen itself."""

import pytest

from collector.history.backfilled import BackfilledHistory
from collector.history.day_files import FIVE_MINUTES, MINUTES
from collector.history.prometheus import GatewayScrapes
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName
from collector.ports import RangeAnswer, RangeSeries
from support.builders import make_catalogue, make_service

CHAT = ServiceName("chat")
NOW = 1_700_000_100.0  # a multiple of 15, 30, 60 and 300


class ScriptedRanges:
    """A `RangeReader`: per 30 s two scrapes, 6 arrivals and 2 pending requests, at all times."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, float]] = []
        self.scrapes = 2.0
        self.fails_before = 0.0  # questions about an earlier time are refused

    def read_range(
        self,
        expression: str,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        step_seconds: float,
    ) -> RangeAnswer:
        self.asked.append((expression, start_timestamp_seconds, end_timestamp_seconds))
        value = self._value(expression)
        if start_timestamp_seconds < self.fails_before:
            return RangeAnswer(series=(), errors=("Prometheus is gone",))
        if value is None:
            return RangeAnswer(series=())
        count = round((end_timestamp_seconds - start_timestamp_seconds) / step_seconds) + 1
        points = tuple((start_timestamp_seconds + i * step_seconds, value) for i in range(count))
        return RangeAnswer(series=(RangeSeries(labels={"service": "chat"}, points=points),))

    def _value(self, expression: str) -> float | None:
        if "count_over_time" in expression:
            return self.scrapes
        if "increase(foresail_requests_arrived_total" in expression:
            return 6.0
        return 2.0 if "foresail_requests_held" in expression else None


@pytest.fixture(name="ranges")
def _ranges() -> ScriptedRanges:
    return ScriptedRanges()


def opened(ranges: ScriptedRanges, *, bin_seconds=15.0, keep_seconds=7200.0) -> BackfilledHistory:
    return BackfilledHistory(
        ranges,
        resolutions=(
            Resolution(bin_seconds=bin_seconds, keep_seconds=keep_seconds),
            MINUTES,
            FIVE_MINUTES,
        ),
        scraped=GatewayScrapes(interval_seconds=15.0),
        catalogue=lambda: make_catalogue(make_service("chat")),
        report=pytest.fail,
    )


def bins(store, *, signal=Signal.ARRIVED_REQUESTS, now=NOW - 1, window=60.0):
    history = store.history(services=[CHAT], window_seconds=window, now_timestamp_seconds=now)
    found = history.signals[signal]
    return tuple(array[0].tolist() for array in (found.sums, found.maxima, found.covered_seconds))


def backfill(store, *, now=NOW - 1) -> tuple[str, ...]:
    return store.backfill(services=[CHAT], now_timestamp_seconds=now)


def append(store, start, end, arrived):
    store.append(
        start_timestamp_seconds=start,
        end_timestamp_seconds=end,
        increases={(Signal.ARRIVED_REQUESTS, CHAT): arrived},
        levels={},
    )


def test_before_the_backfill_nothing_is_known_and_nothing_was_asked(ranges):
    assert bins(opened(ranges)) == ([0] * 4, [0] * 4, [0] * 4)
    assert ranges.asked == []


def test_bins_are_cut_from_wider_ones_that_hold_two_scrapes(ranges):
    store = opened(ranges)
    assert backfill(store) == ()
    assert bins(store) == ([3] * 4, [3] * 4, [15] * 4)
    assert bins(store, signal=Signal.PENDING_REQUESTS) == ([30] * 4, [2] * 4, [15] * 4)
    assert bins(store, signal=Signal.OUTPUT_TOKENS) == ([0] * 4, [0] * 4, [0] * 4)


def test_what_the_controller_saw_itself_wins(ranges):
    store = opened(ranges)
    append(store, NOW - 30, NOW - 20, 7)
    backfill(store)
    assert bins(store)[0] == [3, 3, 7, 3]
    assert bins(store)[2] == [15, 15, 10, 15]
    append(store, NOW - 20, NOW, 20)
    assert bins(store)[0] == [3, 3, 12, 15]


def test_a_bin_that_was_not_scraped_throughout_is_a_gap_and_not_a_quiet_one(ranges):
    ranges.scrapes = 1.0
    store = opened(ranges)
    backfill(store)
    assert bins(store)[2] == [0] * 4


def test_the_past_is_read_in_chunks_newest_first(ranges):
    backfill(opened(ranges))
    scrapes = [(start, end) for text, start, end in ranges.asked if "count_over_time" in text]
    assert scrapes == [(NOW - 3570, NOW), (NOW - 7170, NOW - 3600)]


def test_what_was_read_before_it_failed_counts_and_the_next_try_may_read_more(ranges):
    store = opened(ranges)
    ranges.fails_before = NOW - 3600
    assert backfill(store) == ("Prometheus is gone",)
    assert bins(store)[0] == [3] * 4
    assert bins(store, now=NOW - 3601)[0] == [0] * 4
    ranges.fails_before = 0
    assert backfill(store) == ()
    assert bins(store, now=NOW - 3601)[0] == [3] * 4
    ranges.fails_before = NOW
    assert backfill(store) == ("Prometheus is gone",)
    assert bins(store)[0] == [3] * 4


def test_a_prometheus_that_is_gone_is_asked_one_question(ranges):
    ranges.fails_before = NOW
    backfill(opened(ranges))
    assert len(ranges.asked) == 1


def test_coarse_bins_are_asked_for_when_somebody_wants_them(ranges):
    store = opened(ranges)
    assert [each.bin_seconds for each in store.resolutions] == [15, 60, 300]
    ranges.scrapes = 4.0
    history = store.history(
        services=[CHAT], window_seconds=120, now_timestamp_seconds=NOW - 1, bin_seconds=60.0
    )
    assert history.signals[Signal.ARRIVED_REQUESTS].sums.tolist() == [[6, 6]]


def test_coarse_bins_are_wider_than_the_finest_and_hold_two_scrapes(ranges):
    store = opened(ranges, bin_seconds=60.0)
    assert store.resolutions[1:] == (FIVE_MINUTES,)
    assert opened(ranges).resolutions[1:] == (MINUTES, FIVE_MINUTES)

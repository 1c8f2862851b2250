"""What every `HistoryStore` adapter that is written to must do. A new one is added to STORES.

Prometheus scrapes by itself: what it must do is in test_history_readers.py.
"""

import math

import numpy as np
import pytest

from collector.history.day_files import DayFileHistory
from collector.history.memory import MemoryHistoryStore
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName

CHAT, EMBED = ServiceName("chat"), ServiceName("embed")
BIN, KEEP = 10.0, 100.0
COARSE = Resolution(bin_seconds=50.0, keep_seconds=500.0)


def _memory(path):
    return MemoryHistoryStore(bin_seconds=BIN, keep_seconds=KEEP, coarser=(COARSE,))


class ReopenedDayFiles:
    """Day files of a process that ends after every interval: the next one must go on as if it had not."""

    def __init__(self, path):
        self._path = path

    @property
    def resolutions(self):
        return self._opened().resolutions

    def append(self, **interval):
        store = self._opened()
        store.append(**interval)
        store.close()
        store.tidy()

    def move(self, **by):
        self._opened().move(**by)

    def history(self, **question):
        return self._opened().history(**question)

    def _opened(self):
        return _day_files(self._path)


def _day_files(path):
    reports = []
    store = DayFileHistory(
        path,
        finest=Resolution(bin_seconds=BIN, keep_seconds=KEEP),
        coarser=(COARSE,),
        report=reports.append,
    )
    assert reports == []
    return store


STORES = {"memory": _memory, "day files": _day_files, "reopened day files": ReopenedDayFiles}


@pytest.fixture(params=STORES, name="store")
def _store(request, tmp_path):
    return STORES[request.param](tmp_path)


def add(store, start, end, value=None, *, level=None, service=CHAT):
    store.append(
        start_timestamp_seconds=start,
        end_timestamp_seconds=end,
        increases={} if value is None else {(Signal.ARRIVED_REQUESTS, service): value},
        levels={} if level is None else {(Signal.PENDING_REQUESTS, service): level},
    )


def bins(
    store, now, *, signal=Signal.ARRIVED_REQUESTS, service=CHAT, window=30.0, bin_seconds=None
):
    """(sums, maxima, covered seconds) of the bins of the window."""
    history = store.history(
        services=[service],
        window_seconds=window,
        now_timestamp_seconds=now,
        bin_seconds=bin_seconds,
    )
    found = history.signals[signal]
    return tuple(
        array[0].round(6).tolist() for array in (found.sums, found.maxima, found.covered_seconds)
    )


def test_an_empty_store_knows_nothing(store):
    history = store.history(services=[CHAT], window_seconds=30, now_timestamp_seconds=1005)
    assert history.services == (CHAT,)
    assert history.bin_seconds == BIN
    assert history.end_timestamp_seconds == 1010
    assert set(history.signals) == set(Signal)
    assert bins(store, 1005) == ([0, 0, 0], [0, 0, 0], [0, 0, 0])


def test_increases_add_up_within_a_bin_and_the_open_bin_is_last(store):
    add(store, 1000, 1004, 3)
    add(store, 1004, 1008, 5)
    assert bins(store, 1008) == ([0, 0, 8], [0, 0, 5], [0, 0, 8])
    assert bins(store, 1018) == ([0, 8, 0], [0, 5, 0], [0, 8, 0])


def test_an_increase_over_several_bins_is_split_in_proportion(store):
    add(store, 1005, 1025, 20)
    assert bins(store, 1025) == ([5, 10, 5], [5, 10, 5], [5, 10, 5])


def test_levels_are_weighted_by_time_and_their_maximum_is_kept(store):
    add(store, 1000, 1004, level=3)
    add(store, 1004, 1014, level=1)
    assert bins(store, 1014, signal=Signal.PENDING_REQUESTS) == (
        [0, 18, 4],
        [0, 3, 1],
        [0, 10, 4],
    )


def test_a_measured_zero_has_cover_and_an_unmeasured_time_has_none(store):
    add(store, 1000, 1010, 0)
    add(store, 1010, 1020)
    add(store, 1020, 1024, 4)
    assert bins(store, 1024) == ([0, 0, 4], [0, 0, 4], [10, 0, 4])


def test_services_are_apart_and_come_in_the_order_asked_for(store):
    add(store, 1000, 1005, 1)
    add(store, 1005, 1010, 2, service=EMBED)
    history = store.history(
        services=[EMBED, ServiceName("none"), CHAT], window_seconds=20, now_timestamp_seconds=1010
    )
    found = history.signals[Signal.ARRIVED_REQUESTS]
    assert found.sums.tolist() == [[2, 0], [0, 0], [1, 0]]
    assert found.covered_seconds.tolist() == [[5, 0], [0, 0], [5, 0]]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(1010, 1010, id="no length"),
        pytest.param(1015, 1005, id="backwards"),
        pytest.param(1002, 1008, id="within what is there"),
        pytest.param(math.nan, 1020, id="no number"),
        pytest.param(1000, math.inf, id="endless"),
    ],
)
def test_intervals_that_cannot_be_are_ignored(store, start, end):
    add(store, 1000, 1010, 10)
    before = bins(store, 1010)
    add(store, start, end, 7)
    assert bins(store, 1010) == before


def test_time_is_never_covered_twice(store):
    add(store, 1000, 1008, 8)
    add(store, 1004, 1010, 6)
    assert bins(store, 1009) == ([0, 0, 10], [0, 0, 8], [0, 0, 10])


def test_bins_older_than_what_is_kept_are_gone(store):
    add(store, 1000, 1010, 1)
    add(store, 1100, 1105, 2)
    assert bins(store, 1105, window=KEEP)[0] == [0] * 9 + [2]
    assert bins(store, 1005) == ([0, 0, 0], [0, 0, 0], [0, 0, 0])


def test_a_window_longer_than_what_is_kept_gives_what_is_kept(store):
    add(store, 1000, 1010, 1)
    assert len(bins(store, 1010, window=10 * KEEP)[0]) == 10


def test_a_gap_of_years_costs_no_more_than_the_ring(store):
    add(store, 0, 1e9, 1e9)
    assert bins(store, 1e9 - 1) == ([10, 10, 10], [10, 10, 10], [10, 10, 10])


def test_after_the_clock_was_set_back_the_future_is_forgotten(store):
    add(store, 1000, 1010, 1)
    add(store, 1090, 1100, 9)
    add(store, 1100, 1021, 5)
    assert bins(store, 1095)[0] == [0, 0, 9]  # an interval that goes back is nobody's
    add(store, 1020, 1021, 5)
    assert bins(store, 1095) == ([0, 0, 0], [0, 0, 0], [0, 0, 0])
    assert bins(store, 1009)[0] == [0, 0, 1]
    add(store, 1030, 1040, 4)
    assert bins(store, 1039) == ([0, 0, 4], [0, 0, 4], [0, 0, 10])


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(20.0, id="forward"),
        pytest.param(-20.0, id="back"),
        pytest.param(1e6, id="far-forward"),
        pytest.param(-1000.0, id="far-back"),
    ],
)
def test_after_the_clock_was_set_what_happened_lately_lies_by_the_new_one(by, tmp_path):
    store = _memory(tmp_path)
    add(store, 1000, 1010, 1)
    add(store, 1020, 1030, 9)
    store.move(by_seconds=by)
    assert bins(store, 1029 + by) == ([1, 0, 9], [1, 0, 9], [10, 0, 10])
    add(store, 1030 + by, 1040 + by, 4)
    assert bins(store, 1039 + by)[0] == [0, 9, 4]


def test_a_clock_set_by_half_a_bin_counts_no_time_twice(tmp_path):
    store = _memory(tmp_path)
    add(store, 1000, 1030, 3)
    store.move(by_seconds=26.0)
    add(store, 1056, 1066, 10)  # four seconds of it are covered already
    assert bins(store, 1066) == ([1, 1, 6], [1, 1, 6], [10, 10, 6])


def test_a_clock_set_before_anything_was_seen_moves_nothing(store):
    store.move(by_seconds=3600.0)
    assert bins(store, 1005) == ([0, 0, 0], [0, 0, 0], [0, 0, 0])


def test_coarse_bins_that_are_closed_stay_when_the_clock_is_set_and_none_lies_ahead(tmp_path):
    store = _memory(tmp_path)
    add(store, 1000, 1100, 10)
    store.move(by_seconds=-50.0)
    assert bins(store, 1099, window=100, bin_seconds=50)[0] == [5, 0]


def test_coarse_bins_do_not_tell_again_what_moved_with_the_clock(tmp_path):
    store = _memory(tmp_path)
    add(store, 1000, 1100, 100)
    store.move(by_seconds=200.0)
    add(store, 1300, 1400, 100)
    told = bins(store, 1399, window=400, bin_seconds=50)[0]
    assert told == [50, 50, 0, 0, 0, 0, 50, 50]


def test_what_was_returned_does_not_change_later(store):
    add(store, 1000, 1005, 1)
    history = store.history(services=[CHAT], window_seconds=10, now_timestamp_seconds=1005)
    sums = history.signals[Signal.ARRIVED_REQUESTS].sums
    before = sums.copy()
    add(store, 1005, 1009, 7)
    np.testing.assert_array_equal(sums, before)


def test_rates_come_from_cover_not_from_length(store):
    add(store, 1000, 1004, 8)
    history = store.history(services=[CHAT], window_seconds=30, now_timestamp_seconds=1004)
    rates, covered = history.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=30)
    assert (rates.tolist(), covered.tolist()) == ([0, 0, 2], [0, 0, 4])


def test_many_services_have_room(store):
    for index in range(40):
        add(
            store,
            1000 + index / 10,
            1000 + (index + 1) / 10,
            index,
            service=ServiceName(f"s{index}"),
        )
    assert bins(store, 1005, service=ServiceName("s39"))[0] == [0, 0, 39]
    assert bins(store, 1005, service=ServiceName("s1"))[0] == [0, 0, 1]


def test_the_resolutions_are_told_finest_first(store):
    assert store.resolutions == (Resolution(bin_seconds=BIN, keep_seconds=KEEP), COARSE)


def test_another_width_of_bins_is_refused(store):
    with pytest.raises(ValueError, match="one of 10, 50, got 15"):
        bins(store, 1000, bin_seconds=15.0)


def test_a_coarse_bin_is_what_its_fine_ones_are_together_open_or_closed(store):
    add(store, 1000, 1010, 5)
    add(store, 1030, 1045, 3)
    opened = ([0, 8], [0, 5], [0, 25])
    assert bins(store, 1045, window=100, bin_seconds=50) == opened
    add(store, 1045, 1062, 17)
    assert bins(store, 1062, window=100, bin_seconds=50) == ([13, 12], [5, 10], [30, 12])


def test_coarse_bins_outlive_the_fine_ones(store):
    for start in range(1000, 1400, 20):
        add(store, start, start + 20, 4)
    assert bins(store, 1399, window=KEEP * 10)[0] == [2] * 10
    assert bins(store, 1399, window=400, bin_seconds=50)[0] == [10] * 8
    assert bins(store, 1399, window=5000, bin_seconds=50)[0] == [0, 0, *[10] * 8]
    add(store, 2000, 2010, 1)
    assert bins(store, 1399, window=100, bin_seconds=50)[0] == [0, 0]  # no longer kept


def test_a_gap_longer_than_the_ring_keeps_what_was_before_it(store):
    add(store, 1000, 1015, 6)
    add(store, 1115, 1120, 1)
    assert bins(store, 1120, window=150, bin_seconds=50)[0] == [6, 0, 1]


def test_coarse_bins_forget_the_future_too(store):
    add(store, 1000, 1010, 1)
    add(store, 1040, 1100, 6)
    add(store, 1020, 1021, 5)  # set back
    assert bins(store, 1099, window=100, bin_seconds=50)[0] == [1, 0]
    add(store, 1030, 1060, 3)
    assert bins(store, 1060, window=100, bin_seconds=50)[0] == [3, 1]

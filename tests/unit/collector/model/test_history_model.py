"""Rates out of bins."""

import pytest

from collector.model.catalogue import Sli
from collector.model.history import Signal
from support.builders import CHAT, make_history, steady


def test_a_rate_is_increase_over_covered_seconds() -> None:
    history = make_history({CHAT: {Signal.ARRIVED_REQUESTS: [15.0, 30.0, 45.0]}})
    rates, covered = history.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=45.0)
    assert (rates.tolist(), covered.tolist()) == ([1.0, 2.0, 3.0], [15.0, 15.0, 15.0])


def test_a_bin_nobody_measured_has_no_cover() -> None:
    history = make_history({CHAT: steady(1.0)}, uncovered_bins=(-2,))
    rates, covered = history.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=45.0)
    assert (rates.tolist(), covered.tolist()) == ([1.0, 0.0, 1.0], [15.0, 0.0, 15.0])


@pytest.mark.parametrize(
    ("window_seconds", "bins"),
    [
        pytest.param(60.0, 4, id="whole-bins"),
        pytest.param(1.0, 1, id="at-least-one"),
        pytest.param(1e9, 40, id="no-more-than-there-are"),
    ],
)
def test_the_window_is_cut_to_bins(window_seconds: float, bins: int) -> None:
    history = make_history({CHAT: steady(1.0)})
    rates, _ = history.rates(Signal.ARRIVED_REQUESTS, CHAT, window_seconds=window_seconds)
    assert len(rates) == bins


def test_a_stranger_has_no_bins() -> None:
    history = make_history({CHAT: steady(1.0)})
    assert len(history.rates(Signal.ARRIVED_REQUESTS, "other", window_seconds=60.0)[0]) == 0


def test_services_do_not_see_each_other() -> None:
    history = make_history({"a": steady(1.0), "b": steady(2.0)})
    assert history.rates(Signal.ARRIVED_REQUESTS, "b", window_seconds=15.0)[0].tolist() == [2.0]


@pytest.mark.parametrize("sli", list(Sli))
def test_every_sli_has_its_two_signals(sli: Sli) -> None:
    names = {signal.value for signal in Signal}
    assert {f"{sli.value}_good_events", f"{sli.value}_judged_events"} <= names

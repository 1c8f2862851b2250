"""Demand is what was admitted."""

from collections.abc import Mapping

import pytest

from autoscaler.forecast.demand import demand_series, mean_lengths
from autoscaler.model.state import ServiceState
from collector.model.history import History, Signal
from support.builders import CHAT, NOW, make_history, make_service_state, requests_per_bin, steady


def test_output_demand_follows_arrivals_not_what_was_produced() -> None:
    # Nothing was completed: a queue that stands still is demand all the same.
    history = make_history(
        {CHAT: {Signal.ARRIVED_REQUESTS: [30.0], Signal.ADMITTED_PROMPT_TOKENS: [3000.0]}}
    )
    state = make_service_state(output_tokens_per_request=50.0)
    series = demand_series(history, service=CHAT, state=state, window_seconds=15.0)
    assert series.requests_per_second.tolist() == [2.0]
    assert series.prompt_tokens_per_second.tolist() == [200.0]
    assert series.output_tokens_per_second.tolist() == [100.0]


BIN = 15.0


@pytest.mark.parametrize(
    ("produced", "pending", "asked"),
    [
        pytest.param([150, 150, 150], [3, 3, 3], [150, 150, 150], id="steady"),
        pytest.param([0, 150, 450], [0, 4, 8], [0, 350, 650], id="more-in-flight-were-asked-for"),
        pytest.param([150, 150, 150], [8, 8, 6], [150, 150, 50], id="fewer-were-asked-for-before"),
        pytest.param(
            [150, 40, 150], [8, 6, 6], [150, 0, 90], id="what-was-too-much-is-taken-from-the-next"
        ),
        pytest.param([None, None, 150], [3, 3, 3], [500, 500, 150], id="by-arrivals-where-untold"),
        pytest.param([150, 150, 150], [3, None, 3], [150, 500, 500], id="in-flight-not-counted"),
        pytest.param([None, None, None], [3, 9, 3], [500, 500, 500], id="engines-that-never-tell"),
    ],
)
def test_output_demand_is_what_was_produced_and_what_more_is_in_flight(
    produced: list[float | None], pending: list[float | None], asked: list[float]
) -> None:
    # Ten arrivals in each bin, of 50 tokens as far as is known.
    history = with_gaps(
        {
            Signal.ARRIVED_REQUESTS: [10.0] * 3,
            Signal.ADMITTED_PROMPT_TOKENS: [1.0] * 3,
            Signal.ENGINE_OUTPUT_TOKENS: produced,
            Signal.PENDING_REQUESTS: [None if each is None else each * BIN for each in pending],
        }
    )
    state = make_service_state(output_tokens_per_request=50.0)
    series = demand_series(history, service=CHAT, state=state, window_seconds=3 * BIN)
    assert (series.output_tokens_per_second * BIN).tolist() == pytest.approx(asked)


def test_many_short_requests_at_once_do_not_hide_what_is_asked_for_afterwards() -> None:
    # 500 requests of one token wait for a moment, where the mean length is 500.
    bins, burst = 120, 40
    pending = [3.0 * BIN] * bins
    pending[burst] = 500.0 * BIN
    history = make_history(
        {
            CHAT: {
                Signal.ARRIVED_REQUESTS: [6.0] * bins,
                Signal.ADMITTED_PROMPT_TOKENS: [600.0] * bins,
                Signal.ENGINE_OUTPUT_TOKENS: [3000.0] * bins,
                Signal.PENDING_REQUESTS: pending,
            }
        },
        bins=bins,
    )
    state = make_service_state(output_tokens_per_request=500.0)
    series = demand_series(history, service=CHAT, state=state, window_seconds=bins * BIN)
    asked = series.output_tokens_per_second * BIN
    assert asked[burst] == pytest.approx(3000.0 + 497 * 500.0)
    assert asked[burst + 22 :] == pytest.approx([3000.0] * (bins - burst - 22))


@pytest.mark.parametrize(
    ("lost", "answered", "asked"),
    [
        pytest.param(Signal.ABORTED_REQUESTS, 100, 500, id="who-gave-up-in-the-queue-had-asked"),
        pytest.param(Signal.SHED_REQUESTS, 100, 500, id="so-had-those-that-were-turned-away"),
        pytest.param(Signal.FAILED_REQUESTS, 100, 500, id="and-those-that-failed"),
        pytest.param(Signal.ABORTED_REQUESTS, 20, 420, id="less-what-they-had-got"),
        pytest.param(Signal.ABORTED_REQUESTS, None, 400, id="at-most-all-that-was-produced"),
    ],
)
def test_demand_of_an_overload_is_not_what_its_replicas_can_produce(
    lost: Signal, answered: float | None, asked: float
) -> None:
    # Ten arrivals in each bin, two of which are answered, and a queue that only lacks those who leave.
    history = with_gaps(
        {
            Signal.ARRIVED_REQUESTS: [10.0] * 3,
            Signal.ADMITTED_PROMPT_TOKENS: [1.0] * 3,
            Signal.ENGINE_OUTPUT_TOKENS: [100.0] * 3,
            Signal.OUTPUT_TOKENS: [answered] * 3,
            Signal.PENDING_REQUESTS: [40.0 * BIN] * 3,
            lost: [8.0] * 3,
        }
    )
    state = make_service_state(output_tokens_per_request=50.0)
    series = demand_series(history, service=CHAT, state=state, window_seconds=3 * BIN)
    assert (series.output_tokens_per_second * BIN).tolist() == pytest.approx([asked] * 3)


def with_gaps(signals: Mapping[Signal, list[float | None]]) -> History:
    """Three bins of signals; nobody measured a None."""
    known = {signal: [each or 0.0 for each in values] for signal, values in signals.items()}
    history = make_history({CHAT: known}, bins=3)
    for signal, values in signals.items():
        for place, value in enumerate(values):
            if value is None:
                history.signals[signal].covered_seconds[:, place] = 0.0
    return history


def test_a_service_without_history_has_no_bins() -> None:
    series = demand_series(
        make_history({CHAT: steady(1.0)}),
        service="other",
        state=ServiceState(),
        window_seconds=60.0,
    )
    assert len(series.requests_per_second) == 0


def test_a_bin_without_prompt_tokens_is_not_covered() -> None:
    history = make_history({CHAT: {Signal.ARRIVED_REQUESTS: [30.0]}})
    series = demand_series(history, service=CHAT, state=ServiceState(), window_seconds=15.0)
    assert series.covered_seconds.tolist() == [0.0]


@pytest.mark.parametrize(
    ("requests", "known", "lengths"),
    [
        pytest.param(5.0, ServiceState(), (100.0, 90.0), id="measured"),
        pytest.param(
            4.0,
            make_service_state(prompt_tokens_per_request=7.0, output_tokens_per_request=8.0),
            (7.0, 8.0),
            id="too-few-keep-what-is-known",
        ),
        pytest.param(4.0, ServiceState(), (None, None), id="too-few-and-nothing-known"),
    ],
)
def test_lengths_are_means_over_enough_requests(
    requests: float, known: ServiceState, lengths: tuple[float | None, float | None]
) -> None:
    history = make_history({CHAT: requests_per_bin([requests])}, end=NOW)
    found = mean_lengths(history, service=CHAT, window_seconds=300.0, state=known)
    assert found == pytest.approx(lengths)


def test_a_counter_out_of_this_world_stays_a_number() -> None:
    history = make_history({CHAT: requests_per_bin([1.7e308, 1.7e308])})
    prompt, output = mean_lengths(history, service=CHAT, window_seconds=300.0, state=ServiceState())
    assert prompt is not None
    assert output is not None
    assert max(prompt, output) <= 1e9
    series = demand_series(history, service=CHAT, state=make_service_state(), window_seconds=300.0)
    assert series.output_tokens_per_second.sum() < 1e15

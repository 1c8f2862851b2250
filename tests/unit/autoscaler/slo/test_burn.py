"""How fast the error budget goes."""

from dataclasses import replace

import pytest

from autoscaler.slo.burn import burn_rate, good_signal, judged_signal, worst_burn_rate
from collector.model.catalogue import Objective, Sli
from collector.model.history import Signal
from support.builders import CHAT, TTFT_OBJECTIVE, make_history, make_service, steady


def chat_burn(good_ratio: float, *, window_seconds: float = 300.0) -> float | None:
    history = make_history({CHAT: steady(1.0, good_ratio=good_ratio)})
    return burn_rate(TTFT_OBJECTIVE, service=CHAT, history=history, window_seconds=window_seconds)


@pytest.mark.parametrize(
    ("good_ratio", "rate"),
    [
        pytest.param(1.0, 0.0, id="all-good"),
        pytest.param(0.99, 1.0, id="exactly-the-budget"),
        pytest.param(0.9, 10.0, id="ten-times"),
        pytest.param(0.0, 100.0, id="all-bad"),
        pytest.param(1.5, 0.0, id="more-good-than-judged"),
    ],
)
def test_burn_is_bad_share_over_allowed_share(good_ratio: float, rate: float) -> None:
    assert chat_burn(good_ratio) == pytest.approx(rate)


def test_only_the_window_counts() -> None:
    bad_then_good = {
        Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS: [10.0] * 40,
        Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS: [0.0] * 20 + [10.0] * 20,
    }
    history = make_history({CHAT: bad_then_good})
    assert burn_rate(TTFT_OBJECTIVE, service=CHAT, history=history, window_seconds=300.0) == 0.0
    assert burn_rate(
        TTFT_OBJECTIVE, service=CHAT, history=history, window_seconds=600.0
    ) == pytest.approx(50.0)


def test_nothing_measured_is_not_nothing_burnt() -> None:
    history = make_history({CHAT: {}})
    assert burn_rate(TTFT_OBJECTIVE, service=CHAT, history=history, window_seconds=300.0) is None


def test_a_watched_window_without_events_burns_nothing() -> None:
    assert chat_burn(1.0) == 0.0
    quiet = make_history({CHAT: steady(0.0)})
    assert burn_rate(TTFT_OBJECTIVE, service=CHAT, history=quiet, window_seconds=300.0) == 0.0


def test_a_stranger_has_no_burn_rate() -> None:
    assert (
        worst_burn_rate(
            make_service("other"), history=make_history({CHAT: steady(1.0)}), window_seconds=300.0
        )
        is None
    )


STRICT = replace(TTFT_OBJECTIVE, target_ratio=0.999)
LATENCY = Objective(
    sli=Sli.END_TO_END_LATENCY, threshold_seconds=30.0, target_ratio=0.95, window_seconds=86_400.0
)


@pytest.mark.parametrize(
    ("objectives", "rate"),
    [
        pytest.param((), 0.0, id="no-objective"),
        pytest.param((TTFT_OBJECTIVE, STRICT), 10.0, id="the-worst"),
        pytest.param((TTFT_OBJECTIVE, LATENCY), None, id="one-not-measured"),
    ],
)
def test_the_worst_objective_speaks_for_the_service(
    objectives: tuple[Objective, ...], rate: float | None
) -> None:
    history = make_history({CHAT: steady(1.0, good_ratio=0.99)})
    service = make_service(objectives=objectives)
    worst = worst_burn_rate(service, history=history, window_seconds=300.0)
    assert worst == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize("sli", list(Sli))
def test_every_objective_has_its_signals(sli: Sli) -> None:
    threshold = None if sli is Sli.AVAILABILITY else 1.0
    objective = Objective(sli=sli, threshold_seconds=threshold, target_ratio=0.9, window_seconds=60)
    assert good_signal(objective).value == f"{sli.value}_good_events"
    assert judged_signal(objective).value == f"{sli.value}_judged_events"

"""From options to a question: what is refused before hours are spent on it."""

import numpy as np
import pytest

from autoscaler.replay.workload import Workload
from collector.errors import ConfigurationError
from foresail.backtest.binned import BinnedDemand, LengthHistogram
from foresail.backtest.options import Options, TraceSource, duration_option, share_option
from foresail.backtest.prepare import Demand, prepare
from foresail.backtest.reconstruct import reconstructed
from support.backtests import busy_workload

OPTIONS = {
    "source": TraceSource(file="t.parquet", model=None, scale=1),
    "engine": "llama-3.1-8b-l40s-tp1",
    "time_to_first_token_seconds": 2.0,
    "output_token_seconds": 0.2,
    "target_ratio": 0.99,
    "provision_seconds": 120.0,
    "tune_days": 0.05,
    "days": None,
    "max_replicas": None,
    "seeds": 1,
    "policies": (),
    "is_sweep": False,
}


def ask(workload=None, **changes):
    demand = Demand(name="t", model=None, workloads=(workload or busy_workload(),))
    return prepare(Options(**(OPTIONS | changes)), demand=demand)


def test_the_limit_of_replicas_is_twice_what_the_busiest_minutes_take():
    heavy = busy_workload(requests=20_000)
    _, subject = ask(heavy, engine="llama-3.1-8b-fp8-gb10")
    assert 4 < subject.max_replicas < 20
    _, asked = ask(heavy, engine="llama-3.1-8b-fp8-gb10", max_replicas=3)
    assert asked.max_replicas == 3


def test_only_the_first_days_are_replayed_when_asked():
    question, subject = ask(days=0.06)
    assert question.problem.end_seconds <= 0.06 * 86400
    assert subject.requests < 2000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"engine": "h100"}, "no performance row 'h100'", id="row"),
        pytest.param({"engine": "fit"}, "--engine fit goes with --prometheus", id="fit"),
        pytest.param({"policies": ("best",)}, "--policy best: there is no such policy", id="policy"),
        pytest.param({"tune_days": 1.0}, "spans 0.08 days, and --tune-days 1 leaves no request", id="short"),
        pytest.param({"days": 0.05}, "--days 0.05 leaves nothing to score", id="few-days"),
        pytest.param({"max_replicas": 600}, "--max-replicas 600: at most 512", id="replicas"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(changes, said):
    with pytest.raises(ConfigurationError) as error:
        ask(**changes)
    assert said in str(error.value)


def test_a_trace_longer_than_a_replay_can_count_is_cut_by_days_or_refused():
    long = Workload(
        arrival_seconds=np.arange(61.0) * 86400.0,
        prompt_tokens=np.full(61, 10),
        output_tokens=np.full(61, 1),
    )
    with pytest.raises(ConfigurationError, match=r"spans 60.0 days.*give --days 50 or fewer"):
        ask(long)
    question, _ = ask(long, days=50.0)
    assert question.problem.end_seconds == 49.0 * 86400.0


def test_a_request_that_never_fits_is_named():
    workload = Workload(
        arrival_seconds=np.array([0.0, 6000.0]),
        prompt_tokens=np.array([10, 200_000]),
        output_tokens=np.array([1, 1]),
    )
    with pytest.raises(
        ConfigurationError, match=r"1 of 2 requests never fit .*row 1, needs 200001"
    ):
        ask(workload)


def test_more_than_a_replay_can_hold_is_told():
    workload = busy_workload(requests=200_000, hours=0.05)
    with pytest.raises(ConfigurationError, match="choose a quicker --engine or a smaller --scale"):
        ask(workload, engine="llama-3.1-8b-fp8-gb10", tune_days=0.001)


@pytest.mark.parametrize(
    ("typed", "value"), [("0.99", 0.99), ("99%", 0.99), ("99.9%", 0.999)], ids=str
)
def test_a_target_may_be_a_share_or_a_percentage(typed, value):
    assert share_option("--target", typed) == value


@pytest.mark.parametrize("typed", ["1", "99", "0", "most", "nan"])
def test_other_targets_are_refused(typed):
    with pytest.raises(ConfigurationError, match=r"--target .*: must be"):
        share_option("--target", typed)


def test_a_duration_has_a_unit_or_is_in_seconds():
    assert duration_option("--itl", "100ms") == 0.1
    with pytest.raises(ConfigurationError, match="--itl 1x: must be a duration"):
        duration_option("--itl", "1x")


def history(arrivals):
    lengths = LengthHistogram(
        upper_tokens=np.array([10.0, np.inf]), counts=np.array([1.0, 0.0]), mean_tokens=None
    )
    return BinnedDemand(
        bin_seconds=60.0,
        arrivals=np.array(arrivals),
        is_measured=np.array([True] * 59 + [False]),
        stretch_seconds=3600.0,
        prompt=(lengths,),
        output=(lengths,),
    )


def test_history_is_labelled_and_realised_once_per_seed():
    demand = reconstructed(history([5.0] * 60), name="chat", seeds=3)
    assert demand.is_reconstructed
    assert len(demand.workloads) == 3
    assert "reconstructed from counts per 60 s" in demand.notes[0]
    assert demand.notes[1].startswith("98.3% of the time was measured")


def test_a_history_without_requests_is_refused():
    with pytest.raises(ConfigurationError, match="chat: had no requests in this time"):
        reconstructed(history([0.0] * 60), name="chat", seeds=1)

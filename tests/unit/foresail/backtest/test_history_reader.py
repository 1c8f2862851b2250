"""What is made of Prometheus's answers: arrivals, lengths, and clear words where there are none."""

import numpy as np
import pytest

from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError, TransientSourceError
from collector.model.replica import EngineKind
from collector.ports import RangeAnswer, RangeSeries
from foresail.backtest.history_reader import HistoryReader, Window

HOUR = 3600.0


class AnsweringReader:
    """Answers by the first fragment that a query contains; values are functions of time."""

    def __init__(self, answers, *, error=None):
        self._answers = answers
        self._error = error
        self.queries = []

    def read_range(
        self, expression, *, start_timestamp_seconds, end_timestamp_seconds, step_seconds
    ):
        self.queries.append(expression)
        times = np.arange(start_timestamp_seconds, end_timestamp_seconds + 1, step_seconds)
        for fragment, series in self._answers.items():
            if fragment in expression:
                made = tuple(
                    RangeSeries(
                        labels=labels,
                        points=tuple((t, v) for t in times if (v := value(t)) is not None),
                    )
                    for labels, value in series
                )
                return RangeAnswer(series=made, errors=(self._error,) if self._error else ())
        return RangeAnswer(series=(), errors=(self._error,) if self._error else ())


def always(value):
    return lambda _: value


def lengths(*reached):
    return [({"le": le}, always(n)) for le, n in zip(("10", "100", "+Inf"), reached, strict=True)]


ANSWERS = {
    "group by (model_name)": [({"model_name": "chat"}, always(1.0))],
    "request_success_total": [({}, always(6.0))],
    "num_requests_running": [({}, lambda t: t / 60)],  # one more every minute
    "num_requests_waiting": [({}, always(2.0))],
    "request_prompt_tokens_bucket": lengths(1.0, 4.0, 4.0),
    "request_prompt_tokens_sum": [({}, always(120.0))],
    "request_generation_tokens_bucket": lengths(4.0, 4.0, 4.0),
}


def reader(answers=ANSWERS, *, hours=2, error=None):
    made = AnsweringReader(answers, error=error)
    window = Window(
        start_timestamp_seconds=10 * HOUR - 5, end_timestamp_seconds=(10 + hours) * HOUR + 9
    )
    contract = load_contracts().engines[EngineKind.VLLM]
    return HistoryReader(made, contract=contract, window=window), made


def test_arrivals_are_those_that_ended_and_those_that_are_still_there():
    found, _ = reader()
    demand = found.demand("chat")
    assert demand.bin_seconds == 60.0
    assert len(demand.arrivals) == 120
    # The first bin's change is not known; later ones gain one running request each.
    assert demand.arrivals[:3].tolist() == [6.0, 7.0, 7.0]
    assert demand.is_measured.all()


def test_lengths_are_those_of_every_hour():
    found, _ = reader()
    demand = found.demand("chat")
    assert len(demand.prompt) == 2
    first = demand.prompt[0]
    assert first.upper_tokens.tolist() == [10.0, 100.0, np.inf]
    assert first.counts.tolist() == [1.0, 3.0, 0.0]
    assert first.mean_tokens == 30.0
    assert demand.output[0].mean_tokens is None


def test_bins_are_wider_where_scrapes_are_sparse():
    sparse = ANSWERS | {"[60s]": [], "request_success_total": [({}, always(6.0))]}
    found, _ = reader({"[60s]": [], **sparse})
    assert found.demand("chat").bin_seconds == 300.0


def test_a_time_that_was_not_measured_is_marked():
    gap = {"request_success_total": [({}, lambda t: None if t % 3600 < 600 else 6.0)]}
    found, _ = reader({"group by": ANSWERS["group by (model_name)"], **gap, **{
        key: value for key, value in ANSWERS.items() if key != "request_success_total"
    }})  # fmt: skip
    assert found.demand("chat").measured_ratio == pytest.approx(100 / 120)


def test_the_only_service_needs_no_name_and_names_are_escaped():
    found, made = reader()
    assert found.service(None) == "chat"
    found.demand('a"b')
    assert any('{model_name="a\\"b"}' in each for each in made.queries)


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        pytest.param(["a", "b"], None, "has 2 services of vLLM in this time; say one with --service: a, b", id="several"),
        pytest.param(["a"], "c", "--service c: Prometheus has no vLLM of that model_name in this time; found: a", id="unknown"),
        pytest.param([], None, "has no series of vLLM in this time; give one that scrapes it", id="none"),
    ],
)  # fmt: skip
def test_a_service_that_is_not_clear_is_asked_for(names, asked, said):
    found, _ = reader({"group by": [({"model_name": name}, always(1.0)) for name in names]})
    with pytest.raises(ConfigurationError) as error:
        found.service(asked)
    assert said in str(error.value)


def test_too_little_of_the_time_is_refused():
    found, _ = reader(ANSWERS | {"request_success_total": [({}, lambda t: 1.0 if t < 10.5 * HOUR else None)]})  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"only 2\d% of this time, and 80% are needed"):
        found.demand("chat")


def test_no_histogram_of_lengths_is_said_by_name():
    found, _ = reader({k: v for k, v in ANSWERS.items() if "prompt" not in k})
    with pytest.raises(ConfigurationError, match="no histogram vllm:request_prompt_tokens"):
        found.demand("chat")


def test_a_server_that_fails_is_said_in_its_words():
    found, _ = reader(error="http://127.0.0.1:9090 refused: no")
    with pytest.raises(TransientSourceError, match="refused: no"):
        found.service(None)


def test_less_than_an_hour_is_too_little():
    with pytest.raises(ConfigurationError, match="--since is less than two hours"):
        reader(hours=0)

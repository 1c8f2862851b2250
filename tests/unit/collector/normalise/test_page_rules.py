"""How series become readings: engines joined, sleepers hidden, broken values missing with a reason."""

import pytest

from collector.contract.loader import contract_of
from collector.model.contract import EngineSignal as E
from collector.model.contract import SleepState
from collector.model.histogram import Histogram
from collector.model.page import PageIdentity
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.replica import EngineKind
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings
from support.collector_worlds import CONTRACTS


def read(text, *, contract=CONTRACTS.engines[EngineKind.VLLM]):
    return page_readings(
        parse_exposition(text, source="r1"),
        contract=contract,
        identity=PageIdentity(key="r1", source="engine:vllm"),
        observed_timestamp_seconds=7.0,
    )


def shown(reading):
    return reading.reason if isinstance(reading, Missing) else reading.value


def gauge(*values):
    return "".join(
        f'vllm:num_requests_running{{engine="{index}",model_name="m"}} {value}\n'
        for index, value in enumerate(values)
    )


def histogram(*cumulative, edges=("0.5", "1.0", "+Inf"), total=2.5, engine="0"):
    name = "vllm:time_to_first_token_seconds"
    lines = [
        f'{name}_bucket{{engine="{engine}",le="{edge}"}} {count}\n'
        for edge, count in zip(edges, cumulative, strict=True)
    ]
    return "".join([*lines, f'{name}_sum{{engine="{engine}"}} {total}\n'])


def sleep(*states):
    return "".join(
        f'vllm:engine_sleep_state{{engine="{index}",sleep_state="{state}"}} {int(state == holds)}\n'
        for index, holds in enumerate(states)
        for state in ("awake", "weights_offloaded", "discard_all")
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(gauge(3), 3, id="one engine"),
        pytest.param(gauge(3, 4), 7, id="two engines are summed"),
        pytest.param(gauge(3, "NaN"), MissingReason.NOT_A_NUMBER, id="NaN of one engine"),
        pytest.param(gauge("+Inf"), MissingReason.NOT_A_NUMBER, id="infinity"),
        pytest.param(gauge(3, "x"), MissingReason.NOT_A_NUMBER, id="a line that cannot be read"),
        pytest.param("", MissingReason.SERIES_ABSENT, id="empty page"),
        pytest.param(gauge(3) + gauge(4), MissingReason.CONTRADICTED, id="told twice"),
        pytest.param(
            gauge(3) + 'vllm:num_requests_running{engine="0",model_name="n"} 3\n',
            MissingReason.CONTRADICTED,
            id="a label nobody said how to join",
        ),
        pytest.param(gauge(3).replace(":", "_"), 3, id="colon rewritten"),
        pytest.param(gauge(3) + gauge(3).replace(":", "_"), 3, id="both spellings"),
    ],
)
def test_running_requests(text, value):
    assert shown(read(text).number(E.RUNNING_REQUESTS)) == value


def test_the_fullest_engine_tells_kv_use():
    page = read(
        'vllm:kv_cache_usage_perc{engine="0"} 0.2\nvllm:kv_cache_usage_perc{engine="1"} 0.9\n'
    )
    assert shown(page.number(E.KV_USE_RATIO)) == 0.9


def test_a_negative_counter_is_no_number_and_is_reported():
    page = read("vllm:generation_tokens_total -1\n")
    assert shown(page.number(E.OUTPUT_TOKENS_TOTAL)) is MissingReason.NOT_A_NUMBER
    assert [p.message for p in page.problems] == [
        "output_tokens_total cannot be used: a value is NaN, infinite, negative or unreadable"
    ]


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ('kv_cache_size_tokens="1536",num_gpu_blocks="12",block_size="128"', 1536),
        ('kv_cache_size_tokens="None",num_gpu_blocks="12",block_size="128"', 1536),
        ('num_gpu_blocks="None",block_size="128"', MissingReason.SERIES_ABSENT),
    ],
    ids=["told", "computed from blocks", "not known yet"],
)
def test_kv_capacity_comes_from_labels(labels, value):
    page = read(f'vllm:cache_config_info{{engine="0",{labels}}} 1\n')
    assert shown(page.number(E.KV_CAPACITY_TOKENS)) == value


@pytest.mark.parametrize(
    ("other", "value"),
    [("1536", 1536), ("3072", MissingReason.CONTRADICTED)],
    ids=["the same", "another"],
)
def test_two_info_series_of_one_engine_must_agree(other, value):
    page = read(
        'vllm:cache_config_info{engine="0",gpu="a",kv_cache_size_tokens="1536"} 1\n'
        f'vllm:cache_config_info{{engine="0",gpu="b",kv_cache_size_tokens="{other}"}} 1\n'
    )
    assert shown(page.number(E.KV_CAPACITY_TOKENS)) == value


@pytest.mark.parametrize(
    ("states", "running"),
    [
        pytest.param(("awake",), 0, id="awake"),
        pytest.param(("weights_offloaded",), MissingReason.ASLEEP, id="asleep"),
        pytest.param(("awake", "discard_all"), MissingReason.ASLEEP, id="one of two asleep"),
        pytest.param(("dreaming",), MissingReason.CONTRADICTED, id="no known state holds"),
        pytest.param((), 0, id="older version without the series"),
    ],
)
def test_gauges_of_a_sleeper_say_nothing_and_its_counters_stay(states, running):
    page = read(gauge(0) + sleep(*states) + "vllm:generation_tokens_total 5\n")
    assert shown(page.number(E.RUNNING_REQUESTS)) == running
    assert shown(page.number(E.OUTPUT_TOKENS_TOTAL)) == 5


def test_a_sleep_state_told_twice_differently_hides_the_gauges():
    state = 'vllm:engine_sleep_state{engine="0",sleep_state="awake"}'
    page = read(f"{gauge(0)}{state} 1\n{state} 0\n")
    assert shown(page.sleep_state) is MissingReason.CONTRADICTED
    assert shown(page.number(E.RUNNING_REQUESTS)) is MissingReason.CONTRADICTED


def test_the_deepest_sleep_of_any_engine_counts():
    state = read(sleep("weights_offloaded", "discard_all", "awake")).sleep_state
    assert shown(state) is SleepState.ASLEEP_LEVEL_2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(
            histogram(1, 3, 4),
            Histogram(upper_bounds=(0.5, 1.0), counts=(1, 2, 1), sum=2.5),
            id="one engine",
        ),
        pytest.param(
            histogram(1, 3, 4) + histogram(0, 1, 1, engine="1"),
            Histogram(upper_bounds=(0.5, 1.0), counts=(1, 3, 1), sum=5.0),
            id="two engines",
        ),
        pytest.param(
            histogram(1, 3, 4) + histogram(0, 1, 1, edges=("0.50", "1", "Inf"), engine="1"),
            Histogram(upper_bounds=(0.5, 1.0), counts=(1, 3, 1), sum=5.0),
            id="edges written differently",
        ),
        pytest.param(
            histogram(1, 3, 4) + histogram(0, 1, 1, edges=("0.5", "2", "+Inf"), engine="1"),
            MissingReason.CONTRADICTED,
            id="other edges",
        ),
        pytest.param(histogram(3, 1, 4), MissingReason.CONTRADICTED, id="counts that fall"),
        pytest.param(histogram(1, 3, "NaN"), MissingReason.NOT_A_NUMBER, id="NaN in a bucket"),
        pytest.param(histogram(1, 3, 4, total="NaN"), MissingReason.NOT_A_NUMBER, id="NaN as sum"),
        pytest.param(
            histogram(1, 3, edges=("0.5", "1.0")), MissingReason.SERIES_ABSENT, id="no +Inf bucket"
        ),
        pytest.param(
            histogram(1, 3, 4, edges=("0.5", "x", "+Inf")),
            MissingReason.NOT_A_NUMBER,
            id="edge that is no number",
        ),
        pytest.param(
            histogram(1, 3, 4) + histogram(2, 3, 4), MissingReason.CONTRADICTED, id="told twice"
        ),
        pytest.param(
            histogram(1, 1, 4, edges=("1", "1.0", "+Inf")),
            Histogram(upper_bounds=(1.0,), counts=(1, 3), sum=2.5),
            id="one edge in two spellings",
        ),
    ],
)
def test_histograms(text, value):
    assert shown(read(text).histogram(E.TIME_TO_FIRST_TOKEN)) == value


def test_one_broken_series_leaves_the_others():
    page = read(histogram(3, 1, 4) + gauge(2))
    assert shown(page.number(E.RUNNING_REQUESTS)) == 2
    assert [p.message for p in page.problems] == [
        "time_to_first_token cannot be used: its series contradict each other"
    ]


def test_readings_carry_time_and_source():
    assert read(gauge(1)).number(E.RUNNING_REQUESTS) == Fresh(
        value=1.0, observed_timestamp_seconds=7.0, source="engine:vllm"
    )


def test_values_are_scaled_and_averaged_as_the_contract_says():
    signals = "\n".join(f"  {each.value}: it does not tell" for each in list(E)[1:])
    contract = contract_of(
        f"""
engine: vllm
title: an engine
tells: [engine]
provenance: capture
versions: ">=0"
assumed_version: "1"
dropped_suffixes: []
endpoints: [{{path: /metrics, serves_metrics: true, observer_safe: ">=0", note: n}}]
signals:
  running_requests:
    kind: gauge
    unit: requests
    aggregate: {{rank: max, engine: mean}}
    sources: [{{series: x, select: {{kind: [a, b]}}, scale: 0.001}}]
cannot_see:
{signals}
""",
        name="x.yaml",
    )
    text = 'x{kind="a",rank="0",engine="0"} 1000\nx{kind="a",rank="1",engine="0"} 3000\n'
    text += 'x{kind="a",rank="0",engine="1"} 5000\nx{kind="c",rank="0",engine="1"} 9000\n'
    assert shown(read(text, contract=contract).number(E.RUNNING_REQUESTS)) == 4.0

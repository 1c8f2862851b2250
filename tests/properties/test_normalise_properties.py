"""What must not change the readings of a page, and what must change them in proportion."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.contract import EngineSignal as E
from collector.model.page import PageIdentity
from collector.model.reading import Fresh, Missing
from collector.model.replica import EngineKind
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings
from support.collector_worlds import CONTRACTS, VLLM, capture

LOADED = capture(VLLM, "metrics_load_c64")
LINES = [line for line in LOADED.splitlines() if line and not line.startswith("#")]
KNOWN = [
    line
    for line in LINES
    if re.match(
        r"vllm:(num_requests|generation_tokens|prompt_tokens_by|time_to_first|request_success_total"
        r"|kv_cache_usage|engine_sleep|inter_token|num_preemptions|prefix_cache|admission_rej"
        r"|cache_config_info|e2e_request|request_queue_time)",
        line,
    )
    and "_created" not in line
]


def read(text):
    return page_readings(
        parse_exposition(text, source="r1"),
        contract=CONTRACTS.engines[EngineKind.VLLM],
        identity=PageIdentity(key="r1", source="engine:vllm"),
        observed_timestamp_seconds=7.0,
    )


def text_of(lines):
    return "".join(f"{line}\n" for line in lines)


def values(readings):
    return {
        key: reading.reason if isinstance(reading, Missing) else reading.value
        for key, reading in readings.items()
    }


@given(st.randoms(use_true_random=False))
def test_the_order_of_lines_says_nothing(shuffler: random.Random):
    lines = list(KNOWN)
    shuffler.shuffle(lines)
    assert read(text_of(lines)) == read(text_of(KNOWN))


@given(
    parts=st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=6),
    name=st.sampled_from(["vllm:num_requests_waiting", "vllm:generation_tokens_total"]),
)
def test_a_sum_does_not_depend_on_how_many_engines_share_it(parts, name):
    signal = {"w": E.WAITING_REQUESTS, "t": E.OUTPUT_TOKENS_TOTAL}["t" if "tokens" in name else "w"]
    split = text_of(f'{name}{{engine="{n}"}} {part}' for n, part in enumerate(parts))
    whole = text_of([f'{name}{{engine="0"}} {sum(parts)}'])
    assert read(split).number(signal) == read(whole).number(signal)


@given(
    shares=st.lists(st.lists(st.integers(0, 1000), min_size=3, max_size=3), min_size=1, max_size=4)
)
def test_histograms_of_engines_add_up_bucket_by_bucket(shares):
    name = "vllm:time_to_first_token_seconds"
    lines = []
    for engine, counts in enumerate(shares):
        below = 0
        for edge, count in zip(("0.1", "1.0", "+Inf"), counts, strict=True):
            below += count
            lines.append(f'{name}_bucket{{engine="{engine}",le="{edge}"}} {below}')
        lines.append(f'{name}_sum{{engine="{engine}"}} 1')
    found = read(text_of(lines)).histogram(E.TIME_TO_FIRST_TOKEN)
    assert found.value.counts == tuple(sum(column) for column in zip(*shares, strict=True))


@given(factor=st.sampled_from([0, 1, 2, 4, 1024]))
def test_values_scale_with_the_page(factor):
    name = "vllm:generation_tokens_total"
    scaled = read(text_of([f"{name} {41593 * factor}"])).number(E.OUTPUT_TOKENS_TOTAL)
    assert scaled.value == 41593 * factor


@pytest.mark.parametrize("signal", list(E))
@given(data=st.data())
def test_losing_a_line_never_makes_a_number_where_there_was_none(signal, data):
    lost = data.draw(st.integers(0, len(KNOWN) - 1))
    before = read(text_of(KNOWN))
    after = read(text_of(KNOWN[:lost] + KNOWN[lost + 1 :]))
    known = {key for key, each in before.numbers.items() if isinstance(each, Fresh)}
    told = {key for key, each in after.numbers.items() if isinstance(each, Fresh)}
    assert {key for key in told if key[0] is signal} <= {key for key in known if key[0] is signal}
    for key in told:
        assert values(after.numbers)[key] == values(before.numbers)[key]


@given(st.randoms(use_true_random=False))
def test_counts_by_reason_are_whole_or_missing(chooser: random.Random):
    lines = [line for line in KNOWN if chooser.random() < 0.9]
    spoiled = [
        line.rpartition(" ")[0] + " NaN" if chooser.random() < 0.05 else line for line in lines
    ]
    page = read(text_of(spoiled))
    told = page.numbers_by_label(E.FINISHED_REQUESTS_TOTAL)
    parts = [each for key, each in page.numbers.items() if key[0] is E.FINISHED_REQUESTS_TOTAL]
    if isinstance(told, Fresh):
        assert len(told.value) == len(parts) > 0
        assert sum(told.value.values()) == sum(each.value for each in parts)
    else:
        assert not parts or any(isinstance(each, Missing) for each in parts)


@given(st.randoms(use_true_random=False))
def test_the_settings_digest_does_not_depend_on_order_or_on_other_series(shuffler: random.Random):
    config = [line for line in KNOWN if "cache_config_info" in line]
    rest = [line for line in KNOWN if line not in config and shuffler.random() < 0.5]
    mixed = config + rest
    shuffler.shuffle(mixed)
    assert read(text_of(mixed)).config_hash == read(text_of(KNOWN)).config_hash
    assert isinstance(read(text_of(rest)).config_hash, Missing)

"""Recorded pages of real engines as readings."""

import pytest

from collector.model.contract import EngineSignal as E
from collector.model.contract import SleepState
from collector.model.histogram import good_count
from collector.model.page import PageIdentity
from collector.model.reading import Missing, MissingReason, known_value
from collector.model.replica import EngineKind
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings
from support.collector_worlds import CONTRACTS, LLAMA, VLLM, capture


def read(kind, text, **identity):
    return page_readings(
        parse_exposition(text, source="r1"),
        contract=CONTRACTS.engines[kind],
        identity=PageIdentity(key="r1", source=f"engine:{kind.value}", **identity),
        observed_timestamp_seconds=7.0,
    )


def shown(page, signal, *labels):
    reading = page.number(signal, *labels)
    return reading.reason if isinstance(reading, Missing) else reading.value


ASLEEP = MissingReason.ASLEEP
NUMBERS = (
    E.RUNNING_REQUESTS,
    E.WAITING_REQUESTS,
    E.PROMPT_TOKENS_TOTAL,
    E.OUTPUT_TOKENS_TOTAL,
    E.PREEMPTIONS_TOTAL,
    E.KV_USE_RATIO,
    E.KV_CAPACITY_TOKENS,
)


@pytest.mark.parametrize(
    ("name", "numbers", "sleep", "unknown"),
    [
        ("metrics_idle", (0, 0, 0, 0, 0, 0, 2097152), SleepState.AWAKE, 49),
        (
            "metrics_load_c64",
            (4, 60, 39304, 41593, 0, 0.00024415552707079957, 2097152),
            SleepState.AWAKE,
            58,
        ),
        ("metrics_kvtight_c16", (7, 9, 4038, 18558, 49, 1.0, 1536), SleepState.AWAKE, 57),
        (
            "metrics_admission_c16",
            (4, 2, 2895, 2907, 0, 0.0004883408619216212, 1048576),
            SleepState.AWAKE,
            57,
        ),
        ("metrics_after_sleep_modes", (0, 0, 46823, 51993, 1, 0, 2097152), SleepState.AWAKE, 58),
        (
            "metrics_asleep_l1",
            (ASLEEP, ASLEEP, 0, 0, 0, ASLEEP, 2097152),
            SleepState.ASLEEP_LEVEL_1,
            58,
        ),
        (
            "metrics_asleep_l2",
            (ASLEEP, ASLEEP, 0, 0, 0, ASLEEP, 2097152),
            SleepState.ASLEEP_LEVEL_2,
            58,
        ),
        (
            "metrics_asleep_3_requests_pending",
            (ASLEEP, ASLEEP, 46770, 49664, 0, ASLEEP, 2097152),
            SleepState.ASLEEP_LEVEL_1,
            58,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("metrics") else "",
)
def test_vllm(name, numbers, sleep, unknown):
    page = read(EngineKind.VLLM, capture(VLLM, name))
    assert tuple(shown(page, signal) for signal in NUMBERS) == numbers
    assert known_value(page.sleep_state) is sleep
    assert page.unknown_series_count == unknown
    assert page.problems == ()
    assert set(page.absent) - {E.SLEEP_OPERATION_TIME} == {
        E.LORA_SLOTS_IN_USE,
        E.CONTEXT_LENGTH_TOKENS,
    }


@pytest.mark.parametrize(
    ("name", "ttft", "itl", "end_to_end", "queue"),
    [
        ("metrics_idle", (0, 0, 0), (0, 0), (0, 0), (0, 0)),
        ("metrics_load_c64", (652, 404.2417051792145, 484), (40941, 40791), (648, 463), (648, 488)),
        ("metrics_kvtight_c16", (67, 34.32507824897766, 46), (18491, 18439), (60, 37), (60, 46)),
    ],
    ids=["idle", "loaded", "kv full"],
)
def test_vllm_histograms(name, ttft, itl, end_to_end, queue):
    page = read(EngineKind.VLLM, capture(VLLM, name))

    def counts(signal, threshold):
        histogram = known_value(page.histogram(signal))
        return histogram.total, good_count(histogram, threshold=threshold)

    first = known_value(page.histogram(E.TIME_TO_FIRST_TOKEN))
    assert (first.total, first.sum, good_count(first, threshold=1.0)) == ttft
    assert counts(E.INTER_TOKEN_LATENCY, 0.01) == itl
    assert counts(E.END_TO_END_LATENCY, 1.0) == end_to_end
    assert counts(E.QUEUE_TIME, 1.0) == queue


def test_vllm_by_reason():
    page = read(EngineKind.VLLM, capture(VLLM, "metrics_after_sleep_modes"))
    reasons = ("stop", "length", "abort", "error", "repetition", "unheard")
    assert [shown(page, E.FINISHED_REQUESTS_TOTAL, reason) for reason in reasons] == [
        0,
        788,
        1,
        0,
        0,
        MissingReason.SERIES_ABSENT,
    ]
    page = read(EngineKind.VLLM, capture(VLLM, "metrics_kvtight_c16"))
    assert shown(page, E.WAITING_REQUESTS_BY_REASON, "capacity") == 9
    assert shown(page, E.WAITING_REQUESTS_BY_REASON, "deferred") == 0


def test_vllm_rejections_cache_and_sleep_operations():
    page = read(EngineKind.VLLM, capture(VLLM, "metrics_admission_c16"))
    assert shown(page, E.REJECTED_REQUESTS_TOTAL, "max_num_queued_reqs") == 302
    assert shown(page, E.REJECTED_REQUESTS_TOTAL, "max_num_queued_tokens") == 0
    assert shown(page, E.PREFIX_CACHE_QUERIED_TOKENS_TOTAL) == 2895
    assert shown(page, E.KV_BLOCK_TOKENS) == 128
    page = read(EngineKind.VLLM, capture(VLLM, "metrics_after_sleep_modes"))
    assert known_value(page.histogram(E.SLEEP_OPERATION_TIME, "sleep")).total == 6
    assert known_value(page.histogram(E.SLEEP_OPERATION_TIME, "wake")).total == 8


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("metrics_idle", (0, 0, 0, 0)),
        ("metrics_load_c1", (0, 0, 20889, 22208)),
        ("metrics_load_c8", (2, 6, 37801, 40064)),
        ("metrics_after", (0, 0, 12873, 13696)),
        ("metrics_asleep", (0, 0, 3, 8)),
    ],
)
def test_llama_cpp(name, numbers):
    page = read(EngineKind.LLAMA_CPP, capture(LLAMA, name))
    assert tuple(shown(page, signal) for signal in NUMBERS[:4]) == numbers
    assert page.problems == ()
    assert page.unknown_series_count == 10


def test_llama_cpp_says_what_it_cannot_see():
    page = read(EngineKind.LLAMA_CPP, capture(LLAMA, "metrics_load_c8"))
    missing = Missing(reason=MissingReason.CANNOT_SEE, source="engine:llama_cpp")
    assert page.histogram(E.TIME_TO_FIRST_TOKEN) == missing
    assert page.number(E.KV_USE_RATIO) == missing
    assert page.sleep_state == missing


def test_names_with_the_colon_rewritten_are_read_the_same():
    text = capture(VLLM, "metrics_load_c64")
    assert read(EngineKind.VLLM, text.replace("vllm:", "vllm_")).numbers == (
        read(EngineKind.VLLM, text).numbers
    )


def old_names(text):
    return (
        text.replace("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
        .replace("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
        .replace("vllm:prompt_tokens_by_source_total", "vllm:not_there_yet_total")
    )


def test_names_of_older_versions_mean_the_same():
    text = capture(VLLM, "metrics_load_c64")
    old, new = read(EngineKind.VLLM, old_names(text)), read(EngineKind.VLLM, text)
    assert old.numbers == new.numbers
    assert old.histograms == new.histograms


def test_a_name_outside_its_versions_is_not_read():
    page = read(
        EngineKind.VLLM, old_names(capture(VLLM, "metrics_load_c64")), engine_version=(0, 32)
    )
    assert shown(page, E.KV_USE_RATIO) is MissingReason.SERIES_ABSENT

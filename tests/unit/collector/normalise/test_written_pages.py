"""Pages of servers that were not recorded, written from documented names, as readings."""

import pytest

from collector.model.page import PageIdentity
from collector.model.reading import Missing, MissingReason, known_value
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings
from support.collector_worlds import CONTRACTS, capture
from support.written_pages import FOLDER, PAGES, page_text

CONTRACT = {
    each.engine: each for each in (*CONTRACTS.engines.values(), *CONTRACTS.exporters.values())
}
BUCKETS = (2.0, 5.0, 2.0, 1.0)
GPU = ("node1", "GPU-a", "")


def read(engine, text):
    return page_readings(
        parse_exposition(text, source="r1"),
        contract=CONTRACT[engine],
        identity=PageIdentity(key="r1", source=engine),
        observed_timestamp_seconds=7.0,
    )


def told(page):
    """{signal and kept labels: value, or the counts of a histogram} of everything on the page."""
    numbers = {(key[0].value, *key[1]): known_value(each) for key, each in page.numbers.items()}
    histograms = {
        (key[0].value, *key[1]): known_value(each).counts for key, each in page.histograms.items()
    }
    return numbers | histograms


DCGM = {
    ("device_utilisation_ratio", "node1", "GPU-a", "7"): 0.5,
    ("device_utilisation_ratio", *GPU): 0.25,
    ("device_memory_used_bytes", *GPU): 1_073_741_824,
    ("device_memory_free_bytes", *GPU): 2_147_483_648,
    ("device_power_watts", *GPU): 250.5,
    ("device_energy_joules_total", *GPU): 5,
    ("device_temperature_celsius", *GPU): 61,
    ("device_sm_clock_hertz", *GPU): 1_410_000_000,
    ("device_xid_last", *GPU): 79,
    ("device_xid_count", *GPU, "79"): 2,
    ("device_power_violation_seconds_total", *GPU): 3,
}
EXPECTED = {
    "vllm-0.8.5.post1": {
        ("running_requests",): 3,
        ("waiting_requests",): 2,
        ("kv_use_ratio",): 0.5,
        ("prefix_cache_queried_tokens_total",): 400,
        ("prefix_cache_hit_tokens_total",): 100,
        ("preemptions_total",): 7,
        ("prompt_tokens_total",): 1000,
        ("output_tokens_total",): 500,
        ("finished_requests_total", "stop"): 8,
        ("finished_requests_total", "abort"): 2,
        ("time_to_first_token",): BUCKETS,
        ("inter_token_latency",): BUCKETS,
        ("end_to_end_latency",): BUCKETS,
        ("queue_time",): BUCKETS,
    },
    "sglang-0.5.23": {
        ("running_requests",): 4,  # two ranks of one group tell the same requests
        ("waiting_requests",): 5,  # two data-parallel ranks tell different ones
        ("prompt_tokens_total",): 700,
        ("output_tokens_total",): 90,
        ("preemptions_total",): 6,
        ("kv_use_ratio",): 0.75,
        ("kv_capacity_tokens",): 65536,
        ("kv_block_tokens",): 16,
        ("context_length_tokens",): 8192,
        ("prefix_cache_queried_tokens_total",): 1000,
        ("prefix_cache_hit_tokens_total",): 300,
        ("time_to_first_token",): (4, 10, 4, 2),
        ("queue_time",): BUCKETS,
    },
    "tensorrt_llm-1.0": {
        ("running_requests",): 8,
        ("waiting_requests",): 1,
        ("prompt_tokens_total",): 1000,
        ("output_tokens_total",): 200,
        ("finished_requests_total", "stop"): 9,
        ("failed_requests_total",): 1,
        ("kv_use_ratio",): 0.5,
        ("time_to_first_token",): BUCKETS,
    },
    "triton-2.50": {
        ("running_requests",): 5,
        ("waiting_requests",): 7,
        ("kv_use_ratio",): 0.4,
        ("failed_requests_total",): 3,
    },
    "lmdeploy-0.18.0": {
        ("running_requests",): 5,
        ("waiting_requests",): 0,
        ("prompt_tokens_total",): 400,
        ("output_tokens_total",): 120,
        ("finished_requests_total", "stop"): 5,
        ("kv_use_ratio",): 0.9,
        ("prefix_cache_queried_tokens_total",): 400,
        ("time_to_first_token",): BUCKETS,
        ("inter_token_latency",): BUCKETS,
    },
    "tgi-3.0": {
        ("running_requests",): 6,
        ("waiting_requests",): 2,
        ("output_tokens_total",): 20,
        ("failed_requests_total",): 4,
        ("kv_capacity_tokens",): 32000,
        ("queue_time",): BUCKETS,
        ("request_output_tokens",): BUCKETS,
    },
    "dynamo_frontend-1.6.1": {
        ("model_requests_total", "m"): 42,
        ("model_failed_requests_total", "m"): 2,
        ("model_running_requests", "m"): 4,
        ("model_running_requests", "n"): 1,
        ("model_waiting_requests", "m"): 3,
        ("model_prompt_tokens_total", "m"): 20,
        ("model_output_tokens_total", "m"): 900,
        ("model_time_to_first_token", "m"): BUCKETS,
    },
    "dcgm_exporter-4.5.3": DCGM,
    "dcgm_exporter-4.6.0": DCGM,
    "node_exporter-1.5": {
        ("host_memory_total_bytes",): 128_000_000_000,
        ("host_memory_available_bytes",): 64_000_000_000,
        ("host_memory_pressure_some_seconds_total",): 1.5,
        ("host_memory_pressure_full_seconds_total",): 0.25,
        ("host_temperature_celsius", "thermal_zone0", "temp1"): 45,
    },
    "ipmi_exporter-1.10": {
        ("host_power_watts",): 620,
        ("host_temperature_celsius", "4", "Inlet"): 24,
    },
    "kube_state_metrics-2.10": {
        ("wanted_replicas", "n", "d"): 3,
        ("available_replicas", "n", "d"): 2,
        ("pod_phase", "n", "p", "Running"): 1,
        ("pod_phase", "n", "p", "Pending"): 0,
        ("allocatable_resources", "x", "nvidia_com_mig_1g_10gb"): 7,
    },
    "llama_swap-0": {
        ("device_utilisation_ratio", "GPU-b"): 0.8,
        ("device_memory_used_bytes", "GPU-b"): 4096,
        ("host_memory_total_bytes",): 8192,
    },
    "endpoint_picker-0.8": {
        ("model_requests_total", "m"): 10,  # the old name beside it is not added
        ("ready_endpoints", "pool"): 2,
        ("model_time_to_first_token", "m"): BUCKETS,
    },
    "endpoint_picker-0.3": {
        ("model_requests_total", "m"): 7,
        ("ready_endpoints", "pool"): 2,
    },
    "production_stack_router-0": {
        ("model_requests_total", "m"): 60,
        ("model_running_requests", ""): 7,
        ("model_end_to_end_latency", "m"): BUCKETS,
    },
    "envoy_ai_gateway-0": {
        ("model_prompt_tokens_total", "m"): 20,
        ("model_output_tokens_total", "m"): 20,
        ("model_time_to_first_token", "m"): BUCKETS,
    },
    "kserve_python-0.21.0": {
        ("model_requests_total", "m"): 10,
        ("model_end_to_end_latency", "m"): BUCKETS,
    },
}


@pytest.mark.parametrize("name", list(PAGES))
def test_a_written_page_gives_the_expected_readings(name):
    page = read(name.rsplit("-", 1)[0], (FOLDER / f"{name}.prom").read_text())
    assert told(page) == EXPECTED[name]
    assert page.problems == ()


@pytest.mark.parametrize("name", list(PAGES))
def test_the_files_are_what_the_table_writes(name):
    assert (FOLDER / f"{name}.prom").read_text() == page_text(name)


def test_litellm_without_the_names_of_those_who_asked():
    values = told(read("litellm", capture("litellm-1.85.7", "metrics")))
    assert values[("model_requests_total", "tiny")] == 6
    assert values[("model_failed_requests_total", "tiny-dead")] == 1
    assert values[("model_prompt_tokens_total", "tiny")] == 23
    assert values[("model_output_tokens_total", "tiny")] == 48
    assert values[("model_running_requests", "")] == 1
    assert sum(values[("model_queue_time", "tiny")]) == 6
    assert sum(values[("model_time_per_output_token", "tiny")]) == 7
    assert all(len(key) == 2 for key in values)


def test_the_router_that_borrows_vllms_names_does_not_pass_for_an_engine_with_two_servers():
    page = read("vllm", page_text("production_stack_router-0"))
    running = next(each for key, each in page.numbers.items() if key[0].value == "running_requests")
    assert isinstance(running, Missing)
    assert running.reason is MissingReason.CONTRADICTED

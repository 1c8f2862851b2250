"""Names and labels of vLLM 0.32.0's engine metrics in the order of its page, and their bucket edges.

Source: pages recorded from vLLM 0.32.0, against which a contract test holds the emulated page; edges
are those of the metric contract and of the released packages.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from collector.contract.loader import load_contract
from collector.contract.package_facts import load_package_facts
from collector.model.replica import EngineKind

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

HTTP_EDGES: Final = (0.1, 0.5, 1)
HTTP_FINE_EDGES: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30,
    60,
)  # fmt: skip

FAMILIES: Final[tuple[tuple[str, str], ...]] = (
    ("estimated_flops_per_gpu", COUNTER),
    ("estimated_read_bytes_per_gpu", COUNTER),
    ("estimated_write_bytes_per_gpu", COUNTER),
    ("num_requests_running", GAUGE),
    ("num_requests_waiting", GAUGE),
    ("num_requests_waiting_by_reason", GAUGE),
    ("engine_sleep_state", GAUGE),
    ("kv_cache_usage_perc", GAUGE),
    ("prefix_cache_queries", COUNTER),
    ("prefix_cache_hits", COUNTER),
    ("external_prefix_cache_queries", COUNTER),
    ("external_prefix_cache_hits", COUNTER),
    ("mm_cache_queries", COUNTER),
    ("mm_cache_hits", COUNTER),
    ("num_preemptions", COUNTER),
    ("prompt_tokens", COUNTER),
    ("prompt_tokens_by_source", COUNTER),
    ("prompt_tokens_cached", COUNTER),
    ("prompt_tokens_cached_by_source", COUNTER),
    ("generation_tokens", COUNTER),
    ("request_success", COUNTER),
    ("admission_rejections", COUNTER),
    ("request_prompt_tokens", HISTOGRAM),
    ("request_generation_tokens", HISTOGRAM),
    ("iteration_tokens_total", HISTOGRAM),
    ("request_max_num_generation_tokens", HISTOGRAM),
    ("request_params_n", HISTOGRAM),
    ("request_params_max_tokens", HISTOGRAM),
    ("time_to_first_token_seconds", HISTOGRAM),
    ("inter_token_latency_seconds", HISTOGRAM),
    ("request_time_per_output_token_seconds", HISTOGRAM),
    ("e2e_request_latency_seconds", HISTOGRAM),
    ("request_queue_time_seconds", HISTOGRAM),
    ("request_inference_time_seconds", HISTOGRAM),
    ("request_prefill_time_seconds", HISTOGRAM),
    ("request_decode_time_seconds", HISTOGRAM),
    ("request_num_preemptions", HISTOGRAM),
    ("request_prefill_kv_computed_tokens", HISTOGRAM),
    ("cache_config_info", GAUGE),
)

LABEL_VALUES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "num_requests_waiting_by_reason": ("reason", ("capacity", "deferred")),
    "engine_sleep_state": ("sleep_state", ("awake", "weights_offloaded", "discard_all")),
    "prompt_tokens_by_source": (
        "source",
        ("local_compute", "local_cache_hit", "external_kv_transfer"),
    ),
    "prompt_tokens_cached_by_source": (
        "source",
        ("device", "host", "p2p", "disk", "external_unspecified"),
    ),
    "request_success": ("finished_reason", ("stop", "length", "abort", "error", "repetition")),
    "admission_rejections": ("reason", ("max_num_queued_reqs", "max_num_queued_tokens")),
}
"""The label beside model and engine, and the values that are on the page from the start."""

WITHOUT_ENGINE: Final = frozenset({"admission_rejections"})


def edges(name: str, *, max_model_tokens: int) -> tuple[float, ...]:
    """Bucket edges of an engine histogram; those of token counts end at the model's length."""
    known = _known_edges().get(f"vllm:{name}")
    if known is not None:
        return known
    steps = (digit * 10.0**power for power in range(12) for digit in (1, 2, 5))
    return tuple(edge for edge in steps if edge <= max_model_tokens)


@cache
def _known_edges() -> Mapping[str, tuple[float, ...]]:
    """{histogram: edges} of the newest release that was read and, for the others, of the contract."""
    contract = load_contract(EngineKind.VLLM.value)
    newest = [each for each in load_package_facts() if each.engine == contract.engine][-1]
    told = {each.name: each.upper_bounds for each in newest.metrics.values()}
    return {**{name: found for name, found in told.items() if found}, **contract.bucket_edges}


def cache_labels(
    *, kv_capacity_tokens: int, max_model_tokens: int, kv_bytes_per_token: int
) -> tuple[tuple[str, str], ...]:
    """Labels of `cache_config_info`: a CUDA engine with blocks of 16 tokens."""
    block = 16
    fixed = {
        "_block_size_resolved": "True",
        "block_size": str(block),
        "cache_dtype": "auto",
        "cache_hit_alignment_tokens": "None",
        "effective_attention_block_size": str(block),
        "enable_mamba_shared_prefix_checkpoint": "False",
        "enable_prefix_caching": "False",
        "gpu_memory_utilization": "0.9",
        "hash_block_size": "None",
        "is_attention_free": "False",
        "kv_cache_dtype_skip_layers": "[]",
        "kv_cache_layout": "None",
        "kv_cache_max_concurrency": str(kv_capacity_tokens / max_model_tokens),
        "kv_cache_memory_bytes": str(kv_capacity_tokens * kv_bytes_per_token),
        "kv_cache_size_tokens": str(kv_capacity_tokens),
        "kv_offloading_backend": "native",
        "kv_offloading_size": "None",
        "kv_sharing_fast_prefill": "False",
        "mamba_block_size": "None",
        "mamba_cache_dtype": "auto",
        "mamba_cache_mode": "none",
        "mamba_page_size_padded": "None",
        "mamba_ssm_cache_dtype": "float32",
        "num_cpu_blocks": "None",
        "num_gpu_blocks": str(kv_capacity_tokens // block),
        "num_gpu_blocks_override": "None",
        "prefix_cache_retention_interval": "0",
        "prefix_caching_hash_algo": "sha256",
        "prefix_match_unit": "None",
        "replayssm_buffer_len": "16",
        "skip_page_size_padded": "None",
        "sliding_window": "None",
        "swa_bounded_replay": "True",
        "use_kda_recoverssm": "False",
        "use_replayssm": "False",
        "user_specified_block_size": "False",
    }
    return tuple(fixed.items())

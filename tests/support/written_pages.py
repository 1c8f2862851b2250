"""Writes metric pages from names their makers document, for servers of which no page was recorded.

`python tests/support/written_pages.py` writes tests/data/expositions anew; a test holds the files
against this table. The numbers are made up; names, types and labels are not.
"""

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data" / "expositions"
_HEADER = "# Written from documented names, not recorded: {page}. The numbers are made up.\n"

Row = tuple[str, str, str, object]
"""Type, name, labels as on the page, and a number or [(edge, count in that bucket), ...]."""

BUCKETS = [("0.1", 2), ("1.0", 5), ("10.0", 2), ("+Inf", 1)]
_VLLM = 'engine="0",model_name="m"'
_SG = 'engine_type="unified",model_name="m"'
_RANK0 = f'{_SG},pp_rank="0",tp_rank="0"'
_RANK1 = f'{_SG},pp_rank="0",tp_rank="1"'
_TRT = 'engine_type="trtllm",model_name="m"'
_LMD = 'model_name="m",engine="{}"'
_A100 = 'gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA A100",{}="node1"'
_SLICE = f'{_A100},GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"'


def _dcgm(hostname: str) -> list[Row]:
    whole, part = _A100.format(hostname), _SLICE.format(hostname)
    return [
        ("gauge", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", f'{part},pod="p1",namespace="n"', 0.5),
        ("gauge", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", f'{part},pod="p2",namespace="n"', 0.5),
        ("gauge", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", whole, 0.25),
        ("gauge", "DCGM_FI_DEV_FB_USED", whole, 1024),
        ("gauge", "DCGM_FI_DEV_FB_FREE", whole, 2048),
        ("gauge", "DCGM_FI_DEV_POWER_USAGE", whole, 250.5),
        ("counter", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", whole, 5000),
        ("gauge", "DCGM_FI_DEV_GPU_TEMP", whole, 61),
        ("gauge", "DCGM_FI_DEV_SM_CLOCK", whole, 1410),
        ("gauge", "DCGM_FI_DEV_XID_ERRORS", f'{whole},err_code="79",err_msg="off the bus"', 79),
        ("gauge", "DCGM_EXP_XID_ERRORS_COUNT", f'{whole},window_size_in_ms="300000",xid="79"', 2),
        ("counter", "DCGM_FI_DEV_POWER_VIOLATION", whole, 3000000000),
    ]


PAGES: dict[str, list[Row]] = {
    "vllm-0.8.5.post1": [
        ("gauge", "vllm:num_requests_running", _VLLM, 3),
        ("gauge", "vllm:num_requests_waiting", _VLLM, 2),
        ("gauge", "vllm:gpu_cache_usage_perc", _VLLM, 0.5),
        ("counter", "vllm:gpu_prefix_cache_queries_total", _VLLM, 400),
        ("counter", "vllm:gpu_prefix_cache_hits_total", _VLLM, 100),
        ("counter", "vllm:num_preemptions_total", _VLLM, 7),
        ("counter", "vllm:prompt_tokens_total", _VLLM, 1000),
        ("counter", "vllm:generation_tokens_total", _VLLM, 500),
        ("counter", "vllm:request_success_total", f'{_VLLM},finished_reason="stop"', 8),
        ("counter", "vllm:request_success_total", f'{_VLLM},finished_reason="abort"', 2),
        ("histogram", "vllm:time_to_first_token_seconds", _VLLM, BUCKETS),
        ("histogram", "vllm:time_per_output_token_seconds", _VLLM, BUCKETS),
        ("histogram", "vllm:e2e_request_latency_seconds", _VLLM, BUCKETS),
        ("histogram", "vllm:request_queue_time_seconds", _VLLM, BUCKETS),
    ],
    "sglang-0.5.23": [
        ("gauge", "sglang:num_running_reqs", _RANK0, 4),
        ("gauge", "sglang:num_running_reqs", _RANK1, 4),
        ("gauge", "sglang:num_queue_reqs", f'{_RANK0},dp_rank="0"', 2),
        ("gauge", "sglang:num_queue_reqs", f'{_RANK0},dp_rank="1"', 3),
        ("gauge", "sglang:token_usage", _RANK0, 0.75),
        ("gauge", "sglang:max_total_num_tokens", _RANK0, 65536),
        ("gauge", "sglang:page_size", _RANK0, 16),
        ("gauge", "sglang:context_len", _RANK0, 8192),
        ("counter", "sglang:realtime_tokens_total", f'{_RANK0},mode="prefill_compute"', 700),
        ("counter", "sglang:realtime_tokens_total", f'{_RANK0},mode="prefill_cache"', 300),
        ("counter", "sglang:realtime_tokens_total", f'{_RANK0},mode="decode"', 90),
        ("counter", "sglang:prompt_tokens_total", f'{_SG},is_streaming="true"', 600),
        ("counter", "sglang:prompt_tokens_total", f'{_SG},is_streaming="false"', 400),
        ("counter", "sglang:cached_tokens_total", f'{_SG},cache_source="device"', 250),
        ("counter", "sglang:cached_tokens_total", f'{_SG},cache_source="host"', 50),
        ("counter", "sglang:generation_tokens_total", f'{_SG},is_streaming="true"', 90),
        ("counter", "sglang:num_retracted_requests_total", _RANK0, 6),
        ("histogram", "sglang:time_to_first_token_seconds", f'{_SG},is_streaming="true"', BUCKETS),
        ("histogram", "sglang:time_to_first_token_seconds", f'{_SG},is_streaming="false"', BUCKETS),
        ("histogram", "sglang:queue_time_seconds", _RANK0, BUCKETS),
    ],
    "tensorrt_llm-1.0": [
        ("gauge", "trtllm_num_requests_running", _TRT, 8),
        ("gauge", "trtllm_num_requests_waiting", _TRT, 1),
        ("gauge", "trtllm_kv_cache_utilization", _TRT, 0.5),
        ("counter", "trtllm_prompt_tokens_total", _TRT, 1000),
        ("counter", "trtllm_generation_tokens_total", _TRT, 200),
        ("counter", "trtllm_request_success_total", f'{_TRT},finished_reason="stop"', 9),
        ("counter", "trtllm_request_error_total", _TRT, 1),
        ("histogram", "trtllm_time_to_first_token_seconds", _TRT, BUCKETS),
    ],
    "triton-2.50": [
        ("gauge", "nv_trt_llm_request_metrics", 'model="llm",request_type="active",version="1"', 5),
        (
            "gauge",
            "nv_trt_llm_request_metrics",
            'model="llm",request_type="waiting",version="1"',
            7,
        ),
        ("gauge", "nv_trt_llm_request_metrics", 'model="llm",request_type="max",version="1"', 64),
        (
            "gauge",
            "nv_trt_llm_kv_cache_block_metrics",
            'kv_cache_block_type="fraction",model="llm",version="1"',
            0.4,
        ),
        ("counter", "nv_inference_request_failure", 'model="llm",reason="REJECTED",version="1"', 2),
        ("counter", "nv_inference_request_failure", 'model="pre",reason="OTHER",version="1"', 1),
    ],
    "lmdeploy-0.18.0": [
        ("gauge", "lmdeploy:num_requests_running", _LMD.format(0), 3),
        ("gauge", "lmdeploy:num_requests_running", _LMD.format(1), 2),
        ("gauge", "lmdeploy:num_requests_waiting", _LMD.format(0), 0),
        ("gauge", "lmdeploy:gpu_cache_usage_perc", _LMD.format(0), 0.2),
        ("gauge", "lmdeploy:gpu_cache_usage_perc", _LMD.format(1), 0.9),
        ("counter", "lmdeploy:prompt_tokens_total", _LMD.format(0), 400),
        ("counter", "lmdeploy:generation_tokens_total", _LMD.format(0), 120),
        (
            "counter",
            "lmdeploy:request_success_total",
            f'{_LMD.format(0)},finished_reason="stop"',
            5,
        ),
        ("histogram", "lmdeploy:time_to_first_token_seconds", _LMD.format(0), BUCKETS),
        ("histogram", "lmdeploy:iter_token_latency", _LMD.format(0), BUCKETS),
    ],
    "tgi-3.0": [
        ("gauge", "tgi_batch_current_size", "", 6),
        ("gauge", "tgi_queue_size", "", 2),
        ("gauge", "tgi_batch_max_total_tokens", "", 32000),
        ("counter", "tgi_request_failure", 'err="overloaded"', 1),
        ("counter", "tgi_request_failure", 'err="validation"', 3),
        ("histogram", "tgi_request_queue_duration", "", BUCKETS),
        ("histogram", "tgi_request_generated_tokens", "", BUCKETS),
    ],
    "dynamo_frontend-1.6.1": [
        ("gauge", "dynamo_frontend_inflight_requests", 'model="m"', 4),
        ("gauge", "dynamo_frontend_inflight_requests", 'model="n"', 1),
        ("gauge", "dynamo_frontend_queued_requests", 'model="m"', 3),
        (
            "counter",
            "dynamo_frontend_requests_total",
            'endpoint="chat_completions",model="m",request_type="stream",status="success"',
            40,
        ),
        (
            "counter",
            "dynamo_frontend_requests_total",
            'endpoint="chat_completions",model="m",request_type="unary",status="error"',
            2,
        ),
        ("counter", "dynamo_frontend_output_tokens_total", 'model="m"', 900),
        ("histogram", "dynamo_frontend_time_to_first_token_seconds", 'model="m"', BUCKETS),
        ("histogram", "dynamo_frontend_input_sequence_tokens", 'model="m"', BUCKETS),
    ],
    "dcgm_exporter-4.5.3": _dcgm("Hostname"),
    "dcgm_exporter-4.6.0": _dcgm("hostname"),
    "node_exporter-1.5": [
        ("gauge", "node_memory_MemTotal_bytes", "", 128000000000),
        ("gauge", "node_memory_MemAvailable_bytes", "", 64000000000),
        ("counter", "node_pressure_memory_waiting_seconds_total", "", 1.5),
        ("counter", "node_pressure_memory_stalled_seconds_total", "", 0.25),
        ("gauge", "node_hwmon_temp_celsius", 'chip="thermal_zone0",sensor="temp1"', 45),
    ],
    "ipmi_exporter-1.10": [
        ("gauge", "ipmi_dcmi_power_consumption_current_watts", "", 620),
        ("gauge", "ipmi_temperature_celsius", 'id="4",name="Inlet"', 24),
    ],
    "kube_state_metrics-2.10": [
        ("gauge", "kube_deployment_spec_replicas", 'namespace="n",deployment="d"', 3),
        ("gauge", "kube_deployment_status_replicas_available", 'namespace="n",deployment="d"', 2),
        ("gauge", "kube_pod_status_phase", 'namespace="n",pod="p",uid="u",phase="Running"', 1),
        ("gauge", "kube_pod_status_phase", 'namespace="n",pod="p",uid="u",phase="Pending"', 0),
        (
            "gauge",
            "kube_node_status_allocatable",
            'node="x",resource="nvidia_com_mig_1g_10gb",unit="integer"',
            7,
        ),
    ],
    "llama_swap-0": [
        ("gauge", "llamaswap_gpu_util_percent", 'id="0",name="GB10",uuid="GPU-b"', 80),
        ("gauge", "llamaswap_gpu_memory_used_bytes", 'id="0",name="GB10",uuid="GPU-b"', 4096),
        ("gauge", "llamaswap_memory_total_bytes", "", 8192),
    ],
    "endpoint_picker-0.8": [
        ("counter", "llm_d_epp_request_total", 'model_name="m",target_model_name="m-1"', 7),
        ("counter", "llm_d_epp_request_total", 'model_name="m",target_model_name="m-2"', 3),
        (
            "counter",
            "inference_objective_request_total",
            'model_name="m",target_model_name="m-1"',
            7,
        ),
        ("gauge", "llm_d_epp_ready_endpoints", 'name="pool"', 2),
        ("histogram", "llm_d_epp_request_ttft_seconds", 'model_name="m",streaming="true"', BUCKETS),
    ],
    "endpoint_picker-0.3": [
        (
            "counter",
            "inference_objective_request_total",
            'model_name="m",target_model_name="m-1"',
            7,
        ),
        ("gauge", "inference_pool_ready_pods", 'name="pool"', 2),
    ],
    "production_stack_router-0": [
        ("gauge", "vllm:num_requests_running", 'server="a:8000"', 2),
        ("gauge", "vllm:num_requests_running", 'server="b:8000"', 5),
        ("counter", "vllm:num_incoming_requests_total", 'model="m"', 60),
        ("histogram", "vllm:request_latency_seconds", 'model="m",server="a",status="ok"', BUCKETS),
    ],
    "envoy_ai_gateway-0": [
        (
            "histogram",
            "gen_ai_server_time_to_first_token_seconds",
            'gen_ai_operation_name="chat",gen_ai_request_model="m"',
            BUCKETS,
        ),
        (
            "histogram",
            "gen_ai_client_token_usage",
            'gen_ai_request_model="m",gen_ai_token_type="input"',
            BUCKETS,
        ),
        (
            "histogram",
            "gen_ai_client_token_usage",
            'gen_ai_request_model="m",gen_ai_token_type="output"',
            BUCKETS,
        ),
    ],
    "kserve_python-0.21.0": [
        ("histogram", "request_predict_seconds", 'model_name="m"', BUCKETS),
    ],
}


def page_text(page: str) -> str:
    """The page as Prometheus would read it, with one TYPE line per metric."""
    lines: list[str] = []
    typed: set[str] = set()
    for kind, name, labels, told in PAGES[page]:
        if name not in typed:
            lines.append(f"# TYPE {name} {kind}")
            typed.add(name)
        lines.extend(_lines(name, labels, told))
    return _HEADER.format(page=page) + "\n".join(lines) + "\n"


def _lines(name: str, labels: str, told: object) -> Iterator[str]:
    braces = f"{{{labels}}}" if labels else ""
    if not isinstance(told, list):
        yield f"{name}{braces} {told}"
        return
    count = 0
    for edge, added in told:
        count += added
        inside = f'{labels},le="{edge}"' if labels else f'le="{edge}"'
        yield f"{name}_bucket{{{inside}}} {count}"
    yield f"{name}_sum{braces} {count * 2}"
    yield f"{name}_count{braces} {count}"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for each in PAGES:
        (FOLDER / f"{each}.prom").write_text(page_text(each))

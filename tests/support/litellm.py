"""LiteLLM's real proxy for tests, in an environment of its own, in front of engines on loopback."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from support.engines import free_port
from support.real_programs import installed, served

LITELLM = installed("litellm", "bin/litellm")
KEY = "sk-of-the-test"
_QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1", "NO_PROXY": "127.0.0.1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that answers."""

    url: str

    async def ask(self, body: Mapping[str, Any]) -> int:
        """The status of a chat completion, read to its end."""
        headers = {"Authorization": f"Bearer {KEY}"}
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(f"{self.url}/v1/chat/completions", json=body) as answer,
        ):
            await answer.read()
            return answer.status


def config(models: Mapping[str, str], *, is_page_open: bool) -> dict[str, Any]:
    """The proxy's file: {model name: base URL of the engine}, with metrics switched on."""
    deployments = [
        {
            "model_name": name,
            "litellm_params": {"model": "openai/tiny", "api_base": f"{url}/v1", "api_key": "none"},
        }
        for name, url in models.items()
    ]
    return {
        "model_list": deployments,
        "litellm_settings": {
            "callbacks": ["prometheus"],
            "require_auth_for_metrics_endpoint": not is_page_open,
            "num_retries": 0,
        },
        "general_settings": {"master_key": KEY},
    }


@contextlib.asynccontextmanager
async def running_litellm(
    folder: Path, models: Mapping[str, str], *, is_page_open: bool = True
) -> AsyncIterator[Proxy]:
    """A proxy in front of these engines; `is_page_open`: its metrics want no key."""
    path = folder / "litellm.yaml"
    path.write_text(yaml.safe_dump(config(models, is_page_open=is_page_open)))
    port = free_port()
    command: list[str | Path] = [LITELLM or "litellm", "--config", path, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--telemetry", "False"]
    url = f"http://127.0.0.1:{port}"
    async with served(
        command,
        ready_url=f"{url}/health/liveliness",
        log=folder / "litellm.log",
        environment=_QUIET,
        start_seconds=60.0,
    ):
        yield Proxy(url=url)

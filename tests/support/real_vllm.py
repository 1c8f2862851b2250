"""A real vLLM on the processor with a tiny random model, for the tests of the stage `engines`."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from support.engines import free_port
from support.real_programs import ENGINES, installed, served

VLLM = installed("vllm", "bin/python")
VERSION = (0, 32)
MODEL_NAME = "tiny"
_MODEL = ENGINES / "vllm" / "tiny-model"
_START_SECONDS = 240.0  # 25 s on two free cores
_FLAGS = (
    # bfloat16 takes matrix instructions which a kernel may not have granted at the first prompt.
    "--dtype=float32",
    "--enforce-eager",
    "--max-model-len=1024",
    "--max-num-seqs=4",
    "--enable-server-load-tracking",
    "--shutdown-timeout=5",
)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TMPDIR": str(folder),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers; every request on a connection of its own."""

    url: str

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        return await self._send("GET", path)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON; None where the answer is empty."""
        status, text = await self._send("POST", path, body)
        return status, json.loads(text) if text else None

    async def complete(self, *, prompt: str, max_tokens: int) -> dict[str, Any]:
        """The answer of a completion that is as long as asked for."""
        body = {"model": MODEL_NAME, "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": True}
        status, answer = await self.post("/v1/completions", body)
        assert status == 200, answer
        found: dict[str, Any] = answer
        return found

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=60)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.url + path, json=body) as answer,
        ):
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def running_vllm(folder: Path) -> AsyncIterator[Engine]:
    """An engine in development mode, awake; everything it writes is below `folder`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Not its command `vllm`, which asks for a distribution of that name and finds vllm-cpu.
    command: list[str | Path] = [VLLM or "python", "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", _MODEL, "--served-model-name", MODEL_NAME]
    command += ["--host", "127.0.0.1", "--port", str(port), *_FLAGS]
    async with served(
        command,
        ready_url=f"{url}/health",
        log=folder / "vllm.log",
        environment=_environment(folder),
        start_seconds=_START_SECONDS,
    ):
        yield Engine(url=url)

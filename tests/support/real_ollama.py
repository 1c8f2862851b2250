"""A real Ollama on the processor with tiny models, for the tests of the stage `engines`."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from support.engines import free_port, tiny_model_path
from support.real_programs import installed, served

OLLAMA = installed("ollama", "ollama")
MODEL_NAME = "tiny:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """A server that knows one model and has loaded none."""

    url: str

    async def get(self, path: str) -> tuple[int, Any]:
        """Status, and JSON or the text where it is none."""
        async with _session() as session, session.get(self.url + path) as answer:
            return answer.status, _content(await answer.text())

    async def generate(self, **options: Any) -> dict[str, Any]:
        """The last part of an answer of /api/generate."""
        body: Mapping[str, Any] = {"model": MODEL_NAME, "stream": False, **options}
        async with (
            _session() as session,
            session.post(f"{self.url}/api/generate", json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def loaded(self) -> list[dict[str, Any]]:
        """What /api/ps lists."""
        _, body = await self.get("/api/ps")
        found: list[dict[str, Any]] = body["models"]
        return found


@contextlib.asynccontextmanager
async def running_ollama(folder: Path) -> AsyncIterator[Ollama]:
    """A server whose models and keys are below `folder`."""
    address = f"127.0.0.1:{free_port()}"
    environment = {
        "OLLAMA_HOST": address,
        "OLLAMA_MODELS": str(folder / "models"),
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    url = f"http://{address}"
    async with served(
        [OLLAMA or "ollama", "serve"],
        ready_url=f"{url}/api/version",
        log=folder / "ollama.log",
        environment=environment,
    ):
        await asyncio.to_thread(_create_model, folder, environment)
        yield Ollama(url=url)


def _create_model(folder: Path, environment: Mapping[str, str]) -> None:
    recipe = folder / "Modelfile"
    recipe.write_text(f"FROM {tiny_model_path()}\nTEMPLATE {{{{ .Prompt }}}}\n")
    made = subprocess.run(
        [str(OLLAMA), "create", MODEL_NAME, "-f", str(recipe)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))


def _content(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

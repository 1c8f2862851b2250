"""One `AdminEngine` of each kind for the contract: played, emulated, and a real llama.cpp that sleeps."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import aiohttp

from collector.clock import SystemClock
from collector.model.engine_admin import AdminApi, ModelState
from collector.ports import EngineAdminReader
from collector.sources.engine_admin import (
    AdminHttp,
    AdminLimits,
    LlamaCppAdminReader,
    LlamaSwapAdminReader,
    OllamaAdminReader,
    VllmAdminReader,
)
from support import played_answers
from support.emulated import emulated
from support.engine_admin_suite import AdminEngine
from support.engines import START_SECONDS, free_port, is_healthy, stop, tiny_model_path, wait_until
from support.played_answers import Answers
from support.played_engine import playing

TESTS = Path(__file__).parents[1]
READERS: dict[AdminApi, Callable[[AdminHttp], EngineAdminReader]] = {
    AdminApi.VLLM: VllmAdminReader,
    AdminApi.OLLAMA: OllamaAdminReader,
    AdminApi.LLAMA_CPP: LlamaCppAdminReader,
    AdminApi.LLAMA_SWAP: LlamaSwapAdminReader,
}
PLAYED: dict[str, tuple[AdminApi, str, ModelState, Answers, Answers]] = {
    # {world: (interface, model, at rest, answers while loaded, answers at rest)}
    "ollama": (
        AdminApi.OLLAMA,
        "tiny1:latest",
        ModelState.UNLOADED,
        played_answers.ollama(),
        played_answers.ollama("ps_none"),
    ),
    "llama_cpp": (
        AdminApi.LLAMA_CPP,
        "tiny",
        ModelState.ASLEEP,
        played_answers.llama_cpp(),
        played_answers.llama_cpp(is_asleep=True),
    ),
    "llama_cpp_router": (
        AdminApi.LLAMA_CPP,
        "tiny",
        ModelState.UNLOADED,
        played_answers.llama_cpp_router(tiny="loaded"),
        played_answers.llama_cpp_router(tiny="unloaded"),
    ),
    "llama_swap": (
        AdminApi.LLAMA_SWAP,
        "tiny",
        ModelState.UNLOADED,
        played_answers.llama_swap(tiny="ready"),
        played_answers.llama_swap(),
    ),
    "vllm": (
        AdminApi.VLLM,
        "tiny",
        ModelState.ASLEEP,
        played_answers.vllm(),
        played_answers.vllm(is_asleep=True),
    ),
}


@contextlib.asynccontextmanager
async def reader_of(
    api: AdminApi, *, limits: AdminLimits | None = None
) -> AsyncIterator[EngineAdminReader]:
    """A reader whose connections are closed afterwards."""
    http = AdminHttp(clock=SystemClock(), limits=limits)
    try:
        yield READERS[api](http)
    finally:
        await http.close()


@contextlib.asynccontextmanager
async def played_world(name: str) -> AsyncIterator[AdminEngine]:
    """A played engine whose answers change with its state."""
    api, model, resting, loaded, at_rest = PLAYED[name]
    async with playing(loaded) as engine, reader_of(api) as reader:

        async def load() -> None:
            engine.answers = loaded

        async def rest() -> None:
            engine.answers = at_rest

        yield AdminEngine(
            reader=reader, base_url=engine.url, model=model, load=load, rest=rest, resting=resting
        )


@contextlib.asynccontextmanager
async def emulated_vllm() -> AsyncIterator[AdminEngine]:
    """Our emulated vLLM with development mode."""
    async with emulated() as engine, reader_of(AdminApi.VLLM) as reader:

        async def load() -> None:
            await engine.post("/wake_up")

        async def rest() -> None:
            await engine.post("/sleep?level=1&mode=wait")

        yield AdminEngine(
            reader=reader,
            base_url=engine.url,
            model="tiny",
            load=load,
            rest=rest,
            resting=ModelState.ASLEEP,
        )


@contextlib.asynccontextmanager
async def sleepy_llama() -> AsyncIterator[AdminEngine]:
    """A real llama.cpp server that falls asleep after a second without a request.

    To rest it needs nothing but time, so a look that counted as a request would keep it awake.
    """
    with _sleepy_server() as url:
        async with reader_of(AdminApi.LLAMA_CPP) as reader, aiohttp.ClientSession() as session:

            async def load() -> None:
                body = {"prompt": "a", "n_predict": 1}
                async with session.post(f"{url}/completion", json=body) as answer:
                    assert answer.status == 200

            async def rest() -> None:
                """It goes to sleep by itself."""

            yield AdminEngine(
                reader=reader,
                base_url=url,
                model="tiny",
                load=load,
                rest=rest,
                resting=ModelState.ASLEEP,
            )


@contextlib.contextmanager
def _sleepy_server() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "support.sleepy_llama", str(port), str(tiny_model_path())]
    process = subprocess.Popen(
        command, cwd=TESTS, stdout=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_healthy(url), what=f"{url} answers", seconds=START_SECONDS)
        yield url
    finally:
        stop(process)


WORLDS: dict[str, Callable[[], AbstractAsyncContextManager[AdminEngine]]] = {
    **{f"played_{name}": partial(played_world, name) for name in PLAYED},
    "emulated_vllm": emulated_vllm,
    "real_llama_cpp": sleepy_llama,
}

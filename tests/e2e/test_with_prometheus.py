"""The whole loop with a real Prometheus looking at it: controller, gateway and engines.

What a scale-out did must be readable there afterwards, and agree with what the gateway itself says.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.desks import Desk, catalogue, desk, read_text, service, streaming, wait_until
from support.gateways import matching, parse_samples
from support.prometheus_server import PROMETHEUS, PROMTOOL, Prometheus, lint, running_prometheus

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None,
    reason="prometheus is not installed (Debian package of the same name)",
)


async def engine_addresses(it: Desk) -> list[str]:
    """host:port of every serving replica, as the state tells anybody."""
    state = await it.state()
    replicas = [each for part in state["services"] for each in part["replicas"]] if state else []
    return [urlsplit(each["base_url"]).netloc for each in replicas if each["state"] == "serving"]


async def watch(it: Desk, prometheus: Prometheus) -> set[str]:
    """Points Prometheus at the desk as it is now; the addresses it should scrape."""
    jobs = {
        "foresail-controller": [urlsplit(it.controller_url).netloc],
        "foresail-gateway": [urlsplit(it.gateway_url).netloc],
        "engines": await engine_addresses(it),
    }
    prometheus.watch(jobs)
    return {address for of_job in jobs.values() for address in of_job}


async def all_up(it: Desk, prometheus: Prometheus, *, engines: int) -> None:
    """Returns once exactly the desk's own pages are scraped without complaint."""
    expected = await watch(it, prometheus)
    assert len(expected) == 2 + engines
    seen: dict[str, str] = {}

    async def are_up() -> bool:
        seen.clear()
        seen.update(await prometheus.health())
        return seen == dict.fromkeys(expected, "up")

    await wait_until(are_up, what=lambda: str(seen))


async def test_a_scale_out_can_be_read_from_prometheus_and_promtool_finds_no_fault(
    tmp_path: Path,
) -> None:
    content = catalogue({"chat": service(min_replicas=1, max_replicas=2)})
    content["control"] = {**content["control"], "scale_in_hold": "60s"}
    with desk(tmp_path, content) as it:
        it.start("gateway")
        it.start("controller")
        async with running_prometheus(tmp_path / "prometheus") as prometheus:
            await it.wait_serving(1)
            await all_up(it, prometheus, engines=1)
            await seen(prometheus, 'foresail_replicas{state="serving"}', 1)
            async with streaming(it, users=3) as streams:
                await it.wait_serving(2)
                await all_up(it, prometheus, engines=2)
            assert streams.failures == []

            await seen(prometheus, 'foresail_replicas{state="serving"}', 2)
            outs = 'sum(foresail_decisions_total{direction="out",verdict="act"})'
            await seen(prometheus, outs, 2)
            await seen(prometheus, 'foresail_effects_total{kind="start",outcome="verified"}', 2)
            assert await prometheus.value("sum(llamacpp:tokens_predicted_total)")
            assert len(await prometheus.query("llamacpp:requests_processing")) == 2
            await agrees_with_the_gateway(it, prometheus, completed=streams.completed)
        for url in (it.controller_url, it.gateway_url):
            page = await read_text(f"{url}/metrics")
            assert page is not None
            assert len(parse_samples(page)) > 30
            assert lint(page) == ""  # of `promtool check metrics`


async def seen(prometheus: Prometheus, expression: str, expected: float) -> None:
    """Returns once Prometheus says so."""

    async def is_seen() -> bool:
        return await prometheus.value(expression) == expected

    await wait_until(is_seen, what=lambda: f"{expression} = {expected:g}")


async def agrees_with_the_gateway(it: Desk, prometheus: Prometheus, *, completed: int) -> None:
    """Nothing runs any more: after one more scrape both say the same."""
    page = await it.gateway_samples()
    finished = matching(page, "foresail_requests_finished_total", outcome="completed")
    assert sum(finished) == completed
    for name in (
        "foresail_requests_arrived_total",
        "foresail_output_tokens_total",
        "foresail_prompt_tokens_admitted_total",
        "foresail_time_to_first_token_seconds_count",
        "foresail_time_to_first_token_seconds_sum",
    ):
        (value,) = matching(page, name)
        assert value > 0
        await seen(prometheus, name, value)
    for labels, count in await prometheus.query("foresail_time_to_first_token_seconds_bucket"):
        assert labels["job"] == "foresail-gateway"
        edge = "+Inf" if labels["le"] == "+Inf" else repr(float(labels["le"]))
        (expected,) = matching(page, "foresail_time_to_first_token_seconds_bucket", le=edge)
        assert count == expected

"""A fleet with a gateway of its own: `foresail up` runs the controller alone, which sees its engines."""

import asyncio
import json
from pathlib import Path
from typing import Any

import yaml

from support.desks import Desk, catalogue, desk, service, wait_until
from support.emulated import Emulated, emulated


def content(*engines: Emulated) -> dict[str, Any]:
    """One service on the engines of somebody else."""
    made = service(min_replicas=len(engines), max_replicas=len(engines))
    variant = made["variants"]["llama"]
    target = {"kind": "url", "urls": [each.url for each in engines]}
    made["variants"] = {"vllm": {**variant, "engine": "vllm", "target": target, "keep_alive": True}}
    made["objectives"] = [
        {"sli": "time_to_first_token", "threshold": "1s", "target": 0.9, "window": "1h"},
        {"sli": "time_to_first_token", "threshold": "2s", "target": 0.9, "window": "1h"},
    ]
    return catalogue({"chat": made})


def leave_out_the_gateway(it: Desk, **gateway: object) -> None:
    settings = yaml.safe_load(it.settings_path.read_text())
    settings["gateway"] = {"enabled": False, **gateway}
    it.settings_path.write_text(yaml.safe_dump(settings))


async def use(*engines: Emulated) -> None:
    """Requests that no gateway of ours sees, until cancelled."""
    while True:
        for engine in engines:
            await engine.stream({"model": "tiny", "prompt": "hello", "max_tokens": 8})


async def chat(it: Desk) -> dict[str, Any]:
    state = await it.state()
    found: dict[str, Any] = state["services"][0] if state and state["services"] else {}
    return found


async def test_engines_alone_tell_demand_and_latency(tmp_path: Path) -> None:
    async with emulated() as one, emulated() as two:
        with desk(tmp_path, content(one, two)) as it:
            leave_out_the_gateway(it)
            it.start("up")
            traffic = asyncio.create_task(use(one, two))

            seen: dict[str, Any] = {}

            async def is_seen() -> bool:
                seen.update(told := await chat(it))
                rate = told["demand"]["requests_per_second"] if told else None
                judged = told["objectives"][0]["judged_events"] if told else None
                return bool(rate) and rate > 1 and bool(judged)

            try:
                await wait_until(is_seen, what=lambda: str(seen))
                state = await it.state()
                decision = (await it.decisions())[0]
                told = await asyncio.to_thread(it.run, "doctor", "--json")
            finally:
                traffic.cancel()
                await asyncio.gather(traffic, return_exceptions=True)
            assert it.process_ids("gateway") == set()
            assert len(it.process_ids("controller")) == 1
    assert state is not None
    assert state["gateway"] == {
        "is_left_out": True, "url": None, "routes_epoch": None, "routes_version": None,
        "is_accepted": None,
    }  # fmt: skip
    assert state["problems"] == []
    assert [each["state"] for each in state["services"][0]["replicas"]] == ["serving"] * 2
    assert state["services"][0]["held_requests"]["value"] == 0
    assert decision["reason"] != "no_fresh_data"
    report = json.loads(told.stdout)
    (finding,) = [each for each in report["findings"] if each["check"] == "gateway"]
    assert finding["status"] == "ok"
    assert finding["message"].startswith("left out (gateway.enabled: false)")
    assert [each["name"] for each in report["targets"]] == ["chat/vllm/0", "chat/vllm/1"]
    assert "gateway: left out" in it.log("up")
    # 2 s is no edge of vLLM's histogram of first tokens, and nobody else measures it.
    assert [(each["status"], each["kind"]) for each in report["targets"][0]["findings"]] == [
        ("warning", "too_coarse")
    ]


def test_processes_are_refused_where_nobody_would_route_to_them(tmp_path: Path) -> None:
    with desk(tmp_path, catalogue({"chat": service()})) as it:
        leave_out_the_gateway(it)
        refused = it.run("controller")
        assert refused.returncode == 2
        assert "services.chat.variants.llama is a process" in refused.stderr
        assert "Traceback" not in refused.stderr
        told = json.loads(it.run("doctor", "--json").stdout)
        assert [each["status"] for each in told["findings"] if each["check"] == "catalogue"] == [
            "problem"
        ]


def test_the_gateway_that_is_left_out_does_not_run_by_itself(tmp_path: Path) -> None:
    with desk(tmp_path, catalogue({"chat": service()})) as it:
        leave_out_the_gateway(it)
        refused = it.run("gateway")
        assert refused.returncode == 2
        assert "gateway.enabled is false" in refused.stderr

"""A whole desk whose service has an overflow: it bridges a start, never silently, and never for ever."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.ledger import RecordKind, decoded_decision, read_records
from support.desks import Desk, Streams, catalogue, desk, service, streaming, wait_until
from support.emulated import emulated
from support.upstream import Behaviour, running_upstream

NEVER_READY = ["{python}", "-c", "import time; time.sleep(300)", "{port}"]
KEY = "sk-of-the-desk-and-secret"


def content(
    folder: Path,
    url: str,
    *,
    overflow: str = "auto",
    mode: str = "active",
    command: list[str] | None = None,
    **limits: float,
) -> dict[str, Any]:
    """A catalogue whose one service may overflow; a token costs 1."""
    (folder / "key").write_text(f"{KEY}\n")
    chat = service(min_replicas=0, max_replicas=1, hold_timeout="10s", command=command)
    chat["max_in_flight_per_replica"] = 2
    chat["overflow"] = {
        "url": f"{url}/v1",
        "model": "large",
        "api_key_file": "key",
        "price_per_million_prompt_tokens": 1e6,
        "price_per_million_output_tokens": 1e6,
        "max_requests_in_flight": 20,
        "max_cost_per_hour": 1e6,
        **limits,
    }
    made = catalogue({"chat": chat}, mode=mode)
    made["authority"]["overflow"] = overflow
    made["tiers"]["gold"]["violation_price_per_minute"] = 1e9
    return made


@contextlib.contextmanager
def running(folder: Path, written: dict[str, Any]) -> Iterator[Desk]:
    with desk(folder, written) as it:
        it.start("gateway")
        it.start("controller")
        yield it


def ledgered(it: Desk) -> list[tuple[bool, str, str]]:
    """(open, reason, verdict) of every overflow in the ledger, repetitions left out."""
    path = it.state_dir / "ledger.sqlite"
    records = read_records(path, kind=RecordKind.DECISION) if path.exists() else ()
    plans = [decoded_decision(record.body) for record in records]
    told = [
        (each.overflow.is_open, each.overflow.reason.value, each.overflow_verdict.value)
        for each in plans
        if each.overflow is not None
    ]
    return list(dict.fromkeys(told))


async def until_told(it: Desk, told: tuple[bool, str, str]) -> None:
    async def is_there() -> bool:
        return told in ledgered(it)

    await wait_until(is_there, what=lambda: f"{told} in {ledgered(it)}: {it.log('controller')}")


async def until_open(it: Desk, *, is_open: bool) -> None:
    async def is_so() -> bool:
        return await it.gateway_value("foresail_overflow_open") == is_open

    await wait_until(is_so, what=lambda: f"open {is_open}: {it.log('controller')[-3000:]}")


async def until_routed(it: Desk) -> None:
    async def is_routed() -> bool:
        return await it.gateway_value("foresail_gateway_routes_version") >= 1

    await wait_until(is_routed, what=lambda: it.log("controller")[-1500:])


@pytest.mark.slow
async def test_a_burst_while_the_model_starts_is_answered_elsewhere_and_then_here(
    tmp_path: Path,
) -> None:
    async with emulated(model_name="large") as api:
        with running(tmp_path, content(tmp_path, api.url)) as it:
            await until_routed(it)
            async with streaming(it, users=6) as streams:
                await until_open(it, is_open=True)
                await it.wait_serving(1)

                async def is_shared() -> bool:
                    abroad = await it.gateway_value("foresail_overflow_requests_total")
                    arrived = await it.gateway_value("foresail_requests_arrived_total")
                    return 0 < abroad < arrived - 10

                await wait_until(is_shared, what=lambda: f"{streams.failures[:3]}")
            assert streams.failures == []
            assert await it.gateway_value("foresail_requests_finished_total", outcome="shed") == 0
            await until_open(it, is_open=False)
            told = ledgered(it)
            assert (True, "held_request", "act") in told
            assert (False, "not_needed", "nothing_to_do") in told
        assert KEY not in it.log("gateway") + it.log("controller")


async def test_the_limit_closes_it_and_the_key_is_ours(tmp_path: Path) -> None:
    async with running_upstream(Behaviour(tokens=10, prompt_tokens=10)) as api:
        written = content(
            tmp_path, api.url, command=NEVER_READY, max_cost_per_hour=100.0,
            max_requests_in_flight=1,
        )  # fmt: skip
        with running(tmp_path, written) as it:
            await until_routed(it)
            users = [asyncio.create_task(Streams(url=it.gateway_url).ask_once()) for _ in range(9)]
            await until_told(it, (False, "cost_limit", "nothing_to_do"))
            await until_open(it, is_open=False)
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)
            assert 5 <= len(api.seen) <= 6  # of 20 each: one may have been under way
            assert {each.headers["Authorization"] for each in api.seen} == {f"Bearer {KEY}"}
            assert {each.document["model"] for each in api.seen} == {"large"}


@pytest.mark.parametrize(
    ("authority", "verdict"),
    [
        pytest.param({"overflow": "advise"}, "advise", id="advise"),
        pytest.param({"mode": "dry_run"}, "dry_run", id="dry-run"),
    ],
)
async def test_without_leave_nothing_leaves_and_the_advice_is_told(
    tmp_path: Path, authority: dict[str, str], verdict: str
) -> None:
    async with running_upstream() as api:
        written = content(tmp_path, api.url, command=NEVER_READY, **authority)
        with running(tmp_path, written) as it:
            await until_routed(it)
            held = asyncio.create_task(Streams(url=it.gateway_url).ask_once())
            await until_told(it, (True, "held_request", verdict))
            (newest, *_) = await it.decisions()
            assert f"Overflow not opened ({verdict})" in newest["explanation"]
            assert await it.gateway_value("foresail_overflow_open") == 0
            assert not held.done()
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)
        assert api.seen == []


async def test_a_killed_controller_renews_no_lease(tmp_path: Path) -> None:
    async with running_upstream() as api:
        with desk(tmp_path, content(tmp_path, api.url, command=NEVER_READY)) as it:
            it.start("gateway")
            controller = it.start("controller")
            await until_routed(it)
            assert await Streams(url=it.gateway_url).ask_once() is None
            assert await it.gateway_value("foresail_overflow_open") == 1
            controller.send_signal(signal.SIGKILL)
            controller.wait()
            await until_open(it, is_open=False)
            seen = len(api.seen)
            late = asyncio.create_task(Streams(url=it.gateway_url).ask_once())

            async def is_held() -> bool:
                return await it.gateway_value("foresail_requests_held") == 1

            await wait_until(is_held, what=lambda: it.log("gateway"))
            late.cancel()
            await asyncio.gather(late, return_exceptions=True)
            assert len(api.seen) == seen

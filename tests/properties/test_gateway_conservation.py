"""arrived = completed + failed + aborted + shed + held + in flight, at every scrape, whatever happens."""

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path

import aiohttp
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.gateway.books import Books, FinishReason, Ticket
from collector.gateway.request_body import PromptSize
from collector.model.ids import ReplicaId, ServiceName
from support.gateways import (
    GatewayUnderTest,
    Samples,
    matching,
    replica_route,
    running_gateway,
    service_route,
)
from support.upstream import Behaviour, Fault, behave, running_upstream


def _balance(samples: Samples, service: str) -> tuple[float, float]:
    """(arrived, everything that became of it)."""
    places = (
        "foresail_requests_finished_total",
        "foresail_requests_held",
        "foresail_requests_in_flight",
    )
    found = [value for name in places for value in matching(samples, name, service=service)]
    return sum(matching(samples, "foresail_requests_arrived_total", service=service)), sum(found)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["open", "assign", "hold", "finish"]),
            st.integers(0, 5),
            st.sampled_from(FinishReason),
        ),
        max_size=60,
    )
)
def test_no_step_of_a_request_loses_or_doubles_it(
    steps: list[tuple[str, int, FinishReason]],
) -> None:
    book = Books().follow(ServiceName("s"), thresholds={})
    tickets: list[Ticket] = []
    for step, number, reason in steps:
        ticket = tickets[number % len(tickets)] if tickets else None
        if step == "open":
            size = PromptSize(text_bytes=number, tokens=0)
            tickets.append(book.open_ticket(size=size, received_monotonic_seconds=0.0))
        elif ticket is None:
            continue
        elif step == "finish":
            ticket.finish(reason)
        elif step == "assign" and ticket in book.held:
            ticket.assign(ReplicaId(f"r{number}"))
        elif step == "hold" and ticket.replica_id is not None:
            ticket.hold_again()
        now = sum(book.finished.values()) + len(book.held) + book.in_flight_requests
        assert book.arrived == len(tickets) == now


FAULTS = [fault for fault in Fault if not fault.value.startswith("hang")]


async def _client(gateway: GatewayUnderTest, chance: random.Random) -> None:
    model = chance.choice(["tiny", "tiny", "coder", "sleeper"])
    fault = chance.choice([Fault.NONE, Fault.NONE, *FAULTS])
    headers = behave(fault=fault, tokens=chance.randint(0, 6), delay_seconds=0.002)
    document = {
        "model": model,
        "prompt": "x" * chance.randint(0, 50),
        "stream": chance.random() < 0.6,
    }
    patience = chance.choice([0.01, 0.05, 5.0])
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with (
            asyncio.timeout(patience),
            gateway.post(document, path="/v1/completions", headers=headers) as answer,
        ):
            await answer.read()


async def _watch(gateway: GatewayUnderTest, seen: list[tuple[float, float]]) -> None:
    while True:
        samples = await gateway.samples()
        seen += [_balance(samples, service) for service in ("chat", "code", "asleep")]
        await asyncio.sleep(0)


async def _storm(seed: int) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    seen: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_upstream(Behaviour(first_delay_seconds=0.002)) as one,
            running_upstream() as two,
            running_gateway(Path(folder)) as gateway,
        ):
            one_route, two_route = (
                replica_route(one.url, name="1"),
                replica_route(two.url, name="2"),
            )
            dead = replica_route("http://127.0.0.1:1", name="dead")
            code = service_route(
                two_route, name="code", models=("coder",), max_in_flight_per_replica=2,
                max_held_requests=3, hold_timeout_seconds=0.2,
            )  # fmt: skip
            asleep = service_route(
                name="asleep", models=("sleeper",), hold_timeout_seconds=0.1, max_held_requests=4
            )
            await gateway.route(service_route(one_route, two_route, dead), code, asleep)
            watcher = asyncio.create_task(_watch(gateway, seen))
            clients = []
            for number in range(60):
                clients.append(asyncio.create_task(_client(gateway, chance)))
                await asyncio.sleep(chance.choice([0, 0, 0.005]))
                if number == 30:
                    await gateway.route(service_route(two_route), code, asleep)
            await asyncio.gather(*clients)
            watcher.cancel()
            for service, everything in (("chat", seen), ("code", seen), ("asleep", seen)):
                for state in ("foresail_requests_in_flight", "foresail_requests_held"):
                    await gateway.eventually(state, 0, service=service)
                everything.append(_balance(await gateway.samples(), service))
            seen.append((await gateway.value("foresail_requests_arrived_total"), 60))
    return seen


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_the_balance_holds_at_every_scrape_of_a_storm(seed: int) -> None:
    seen = asyncio.run(_storm(seed))
    assert len(seen) > 10
    *balances, (arrived, sent) = seen
    assert arrived <= sent  # a client may hang up before its request is read
    assert [pair for pair in balances if pair[0] != pair[1]] == []

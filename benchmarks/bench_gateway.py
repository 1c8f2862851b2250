"""What the gateway costs: added latency against direct access, and requests/s per core.

    python benchmarks/bench_gateway.py [--seconds 60] [--rate 10] [--write]

An engine (canned answers of 16 tokens on a fixed schedule), the gateway, and a minimal pass-through
proxy of httpx + starlette + uvicorn run as processes of their own; requests go to the three in turn,
in one run, so that what else the machine does meets all of them alike. Exit status 1 when the budget
is missed. `--write` puts the tables into docs/benchmarks/gateway.md.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from collector.gateway.books import Books  # noqa: E402
from collector.gateway.client import GatewayClient  # noqa: E402
from collector.gateway.exposition import render  # noqa: E402
from collector.gateway.routing import ReplicaRoute, RoutingTable, ServiceRoute  # noqa: E402
from collector.model.ids import ReplicaId, ServiceName, TierName  # noqa: E402

REPORT = ROOT / "docs" / "benchmarks" / "gateway.md"
TOKENS = 16
TOKEN_SECONDS = 0.004  # 250 tokens/s: fast for one stream of a real engine
P50_BUDGET_SECONDS, P99_BUDGET_SECONDS = 0.0015, 0.006
PATH = "/v1/chat/completions"
BODY = json.dumps(
    {
        "model": "tiny",
        "stream": True,
        "max_tokens": TOKENS,
        "messages": [{"role": "user", "content": "a question of about the usual length " * 12}],
    }
).encode()
END = b"0\r\n\r\n"
ROLES = Path(__file__).with_name("gateway_roles.py")


# ---- the client and the measuring


@dataclass
class Target:
    """One way to the engine."""

    name: str
    url: str
    pid: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    first_seconds: list[float] = field(default_factory=list)
    total_seconds: list[float] = field(default_factory=list)

    @property
    def host_port(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    async def ask(self) -> tuple[float, float]:
        """(seconds to the first token, to the last byte)."""
        reader, writer = (
            self.idle.pop() if self.idle else await asyncio.open_connection(*self.host_port)
        )
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        started = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        received, first = b"", 0.0
        while not received.endswith(END):
            piece = await reader.read(1 << 16)
            if not piece:
                raise ConnectionError(f"{self.name} hung up after {received[-200:]!r}")
            received += piece
            if not first and b"word0" in received:
                first = time.perf_counter() - started
        total = time.perf_counter() - started
        if not received.startswith(b"HTTP/1.1 200") or b"word15" not in received:
            raise ValueError(f"{self.name} answered {received[:300]!r}")
        self.idle.append((reader, writer))
        return first, total


def cpu_seconds(pid: int) -> float:
    """User and system time of a process. Source: proc(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_busy_seconds() -> float:
    """CPU time that was not idle, of all cores. Source: proc(5), /proc/stat, fields 4 and 5."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def role(name: str, *arguments: str) -> AsyncIterator[Target]:
    """One process of gateway_roles.py, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROLES), name, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.startswith(b"URL "):
                yield Target(name, line.split()[1].decode(), process.pid)
                return
        raise RuntimeError(f"{name} ended before it listened")
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def all_roles(token_seconds: float) -> AsyncIterator[tuple[Target, Target, Target]]:
    """(engine, gateway, httpx proxy)."""
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(role("engine", str(token_seconds)))
        state_dir = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway = await stack.enter_async_context(role("gateway", str(state_dir)))
        proxy = await stack.enter_async_context(role("httpx_proxy", engine.url))
        await _route(state_dir, engine.url)
        yield engine, gateway, proxy


async def _route(state_dir: Path, engine_url: str) -> None:
    replica = ReplicaRoute(
        replica_id=ReplicaId("r"), base_url=engine_url, upstream_model=None, keep_alive=True
    )
    service = ServiceRoute(
        service=ServiceName("chat"),
        models=("tiny",),
        tier=TierName("gold"),
        hold_timeout_seconds=5,
        max_held_requests=100,
        max_in_flight_per_replica=None,
        thresholds_seconds={},
        replicas=(replica,),
    )
    await GatewayClient(state_dir).write_routes(
        RoutingTable(epoch=1, version=1, services=(service,))
    )


async def measure_latency(seconds: float, rate: float) -> tuple[list[Target], dict[str, float]]:
    """The targets with their times, and CPU cores used per process."""
    async with all_roles(TOKEN_SECONDS) as targets:
        for target in targets:
            for _ in range(5):
                await target.ask()
        before = {target.name: cpu_seconds(target.pid) for target in targets}
        busy, own, started = machine_busy_seconds(), time.process_time(), time.perf_counter()
        await _in_turn(list(targets), seconds, rate)
        elapsed = time.perf_counter() - started
        cores = {
            target.name: (cpu_seconds(target.pid) - before[target.name]) / elapsed
            for target in targets
        }
        cores["client"] = (time.process_time() - own) / elapsed
        cores["others"] = (machine_busy_seconds() - busy) / elapsed - sum(cores.values())
        return list(targets), cores


async def _in_turn(targets: list[Target], seconds: float, rate: float) -> None:
    loop = asyncio.get_running_loop()
    asked, start = [], loop.time()
    for number in range(int(seconds * rate) * len(targets)):
        await asyncio.sleep(max(0.0, start + number / (rate * len(targets)) - loop.time()))
        asked.append(asyncio.create_task(_record(targets[number % len(targets)])))
    await asyncio.gather(*asked)


async def _record(target: Target) -> None:
    first, total = await target.ask()
    target.first_seconds.append(first)
    target.total_seconds.append(total)


async def measure_saturation(seconds: float) -> dict[str, tuple[float, float]]:
    """{proxy: (requests/s reached, CPU cores it used)}, 16 clients, an engine that answers at once."""
    found = {}
    async with all_roles(0.0) as (_, *proxies):
        for proxy in proxies:
            for _ in range(20):
                await proxy.ask()
            before, started = cpu_seconds(proxy.pid), time.perf_counter()
            counts = await asyncio.gather(*(_hammer(proxy, started + seconds) for _ in range(16)))
            elapsed = time.perf_counter() - started
            used = (cpu_seconds(proxy.pid) - before) / elapsed
            found[proxy.name] = (sum(counts) / elapsed, used)
    return found


async def _hammer(target: Target, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        await target.ask()
        count += 1
    return count


def measure_page(services: int = 20) -> tuple[int, float, float]:
    """(lines, seconds of the own renderer, seconds of prometheus_client) for one metrics page."""
    books = Books()
    for number in range(services):
        books.follow(ServiceName(f"service-{number}"), thresholds={})

    def own() -> bytes:
        return render(
            books,
            replicas={},
            routes_version=1,
            start_timestamp_seconds=1.0,
            now_monotonic_seconds=1.0,
        )

    families = list(text_string_to_metric_families(own().decode()))

    class Custom:
        def collect(self) -> object:
            return families

    registry = CollectorRegistry()
    registry.register(Custom())  # type: ignore[arg-type]
    return (
        own().count(b"\n"),
        _median_seconds(own),
        _median_seconds(lambda: generate_latest(registry)),
    )


def _median_seconds(work: object) -> float:
    times = []
    for _ in range(30):
        started = time.perf_counter()
        work()  # type: ignore[operator]
        times.append(time.perf_counter() - started)
    return statistics.median(times)


# ---- the report


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]


def report(arguments: argparse.Namespace) -> tuple[str, bool]:
    """The document, and whether the budget is held."""
    targets, cores = asyncio.run(measure_latency(arguments.seconds, arguments.rate))
    saturation = asyncio.run(measure_saturation(min(10.0, arguments.seconds)))
    lines, own, library = measure_page()
    direct = targets[0]
    rows, added = [], {}
    for target in targets:
        ms = [
            1000 * (_quantile(times, q) - (_quantile(base, q) if target is not direct else 0))
            for times, base in (
                (target.total_seconds, direct.total_seconds),
                (target.first_seconds, direct.first_seconds),
            )
            for q in (0.5, 0.99)
        ]
        added[target.name] = ms
        sign = "" if target is direct else "+"
        cells = " | ".join(f"{sign}{value:.2f}" for value in ms)
        rows.append(f"| {NAMES[target.name]} | {cells} | {cores[target.name]:.2f} |")
    holds = (
        added["gateway"][0] <= 1000 * P50_BUDGET_SECONDS
        and added["gateway"][1] <= 1000 * P99_BUDGET_SECONDS
    )
    full = [
        f"| {NAMES[name]} | {rate:.0f} | {used:.2f} | {rate / used:.0f} |"
        for name, (rate, used) in saturation.items()
    ]
    text = TEXT.format(
        rate=arguments.rate,
        count=len(direct.total_seconds),
        seconds=arguments.seconds,
        cpus=os.cpu_count(),
        python=platform.python_version(),
        rows="\n".join(rows),
        client=cores["client"],
        others=cores["others"],
        full="\n".join(full),
        lines=lines,
        own=1000 * own,
        library=1000 * library,
        verdict="held" if holds else "MISSED",
    )
    return text, holds


NAMES = {
    "engine": "direct to the engine",
    "gateway": "the gateway (aiohttp)",
    "httpx_proxy": "bare proxy (httpx, starlette, uvicorn)",
}
TEXT = """# What the gateway costs

Made by `python benchmarks/bench_gateway.py --seconds {seconds:g} --rate {rate:g} --write` on {cpus} cores
with Python {python}. {count} streams of 16 tokens for each way, one token every 4 ms, {rate:g} streams/s
per way, the three ways in turn in the same run.

## Latency

First row in milliseconds as measured; the others as the difference of the same quantile to it.

| way | to the last byte, p50 | p99 | to the first token, p50 | p99 | cores used |
|---|---|---|---|---|---|
{rows}

The client used {client:.2f} cores, everything else on the machine {others:.2f}. Budget: at most +1.5 ms at p50 and +6 ms at p99 to the last byte:
**{verdict}**.

## One core

16 clients as fast as they can, an engine that answers at once (16 tokens, 17 to 19 chunks each).

| proxy | requests/s reached | cores used | requests/s per core |
|---|---|---|---|
{full}

The gateway asks for usage, parses every chunk and counts; the bare proxy copies bytes.

## The metrics page

{lines} lines (20 services): {own:.2f} ms by `collector/gateway/exposition.py`, {library:.2f} ms by
prometheus_client's `generate_latest` from ready-made samples.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=10.0, help="streams per second and way")
    parser.add_argument("--write", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    text, holds = report(arguments)
    print(text)
    if arguments.write:
        REPORT.write_text(text)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

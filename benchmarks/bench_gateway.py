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

ROOT = Path(__file__).resolve().parent.parent
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


# ---- the engine: as little Python as possible, so that it is not what is measured


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def _token(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
    return _chunk(
        json.dumps(
            {
                "id": "chatcmpl-0123456789abcdef",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "tiny",
                "choices": [choice],
            }
        ).encode()
    )


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = [_token(number) for number in range(TOKENS)]
FINISH = _chunk(b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
USAGE = _chunk(b'{"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":16}}')
DONE = _chunk(b"[DONE]") + END


class Engine(asyncio.Protocol):
    """Answers each request with 16 tokens, one every `token_seconds` after its receipt."""

    def __init__(self, token_seconds: float) -> None:
        self._token_seconds = token_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) >= length:
            self._answer(rest[:length])
            self._received = rest[length:]

    def _answer(self, body: bytes) -> None:
        last = FINISH + (USAGE if b"include_usage" in body else b"") + DONE
        pieces = [HEAD + CHUNKS[0], *CHUNKS[1:], last]
        if self._token_seconds == 0:
            for piece in pieces:
                self._transport.write(piece)
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number, piece in enumerate(pieces):
            loop.call_at(now + (number + 1) * self._token_seconds, self._transport.write, piece)


async def _engine(port_file: Path, token_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Engine(token_seconds), "127.0.0.1", 0, backlog=1024)
    port_file.write_text(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


# ---- the two proxies


async def _gateway(url_file: Path, state_dir: Path) -> None:
    from collector.clock import SystemClock
    from collector.gateway.process import run_gateway
    from collector.gateway.settings import GatewaySettings

    settings = GatewaySettings(state_dir=state_dir, port=0)
    await run_gateway(settings, clock=SystemClock(), ready=url_file.write_text)  # type: ignore[arg-type]


async def _httpx_proxy(url_file: Path, engine_url: str) -> None:
    """The least that a starlette proxy can do: no measuring, no holding, no retry."""
    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    client = httpx.AsyncClient(
        timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None)
    )

    async def forward(request: Request) -> StreamingResponse:
        body = await request.body()
        headers = {"content-type": "application/json"}
        sent = client.build_request("POST", engine_url + PATH, content=body, headers=headers)
        answer = await client.send(sent, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            media_type=answer.headers["content-type"],
        )

    app = Starlette(routes=[Route(PATH, forward, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url_file.write_text(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    await serving


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


@asynccontextmanager
async def role(name: str, folder: Path, *arguments: str) -> AsyncIterator[Target]:
    """One process of this file, ready."""
    url_file = folder / f"{name}-{len(list(folder.iterdir()))}.url"
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--role", name, str(url_file), *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        while not (url_file.exists() and url_file.read_text()):
            await asyncio.sleep(0.02)
        yield Target(name, url_file.read_text(), process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def all_roles(token_seconds: float) -> AsyncIterator[tuple[Target, Target, Target]]:
    """(engine, gateway, httpx proxy)."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = await stack.enter_async_context(role("engine", folder, str(token_seconds)))
        state_dir = folder / "state"
        gateway = await stack.enter_async_context(role("gateway", folder, str(state_dir)))
        proxy = await stack.enter_async_context(role("httpx_proxy", folder, engine.url))
        await _route(state_dir, engine.url)
        yield engine, gateway, proxy


async def _route(state_dir: Path, engine_url: str) -> None:
    from collector.gateway.client import GatewayClient
    from collector.gateway.routing import ReplicaRoute, RoutingTable, ServiceRoute
    from collector.model.ids import ReplicaId, ServiceName, TierName

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
        own, started = time.process_time(), time.perf_counter()
        await _in_turn(list(targets), seconds, rate)
        elapsed = time.perf_counter() - started
        cores = {
            target.name: (cpu_seconds(target.pid) - before[target.name]) / elapsed
            for target in targets
        }
        cores["client"] = (time.process_time() - own) / elapsed
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
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    from collector.gateway.books import Books
    from collector.gateway.exposition import render
    from collector.model.ids import ServiceName

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

The client used {client:.2f} cores. Budget: at most +1.5 ms at p50 and +6 ms at p99 to the last byte:
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
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match arguments.role:
        case ["engine", url_file, token_seconds]:
            asyncio.run(_engine(Path(url_file), float(token_seconds)))
        case ["gateway", url_file, state_dir]:
            asyncio.run(_gateway(Path(url_file), Path(state_dir)))
        case ["httpx_proxy", url_file, engine_url]:
            asyncio.run(_httpx_proxy(Path(url_file), engine_url))
        case _:
            sys.path.insert(0, str(ROOT))
            text, holds = report(arguments)
            print(text)
            if arguments.write:
                REPORT.write_text(text)
            return 0 if holds else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

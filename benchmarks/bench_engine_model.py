"""Requests per second that the pure engine model simulates at 16 replicas on one core.

Run from the repository root: python benchmarks/bench_engine_model.py [--profile] [--write]
Lengths are those of the recorded code-completion requests in foresail/demo/data; arrivals are drawn
with a fixed seed. `--write` renews docs/benchmarks/engine_model.md; `--profile` prints hot functions.
"""

import argparse
import cProfile
import csv
import gzip
import platform
import pstats
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from autoscaler.engine_model.costs import EngineLimits, picoseconds  # noqa: E402
from autoscaler.engine_model.engine import EngineModel  # noqa: E402
from autoscaler.engine_model.request import Request  # noqa: E402
from foresail.emulate.performance import read_row  # noqa: E402

REPLICAS = 16
SEED = 7
BUDGET_REQUESTS_PER_SECOND = 100_000
ROW = "llama-3.1-8b-h100-tp1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of load."""

    name: str
    service: str  # of the recorded hour: where lengths come from
    requests_per_second: float  # at all replicas together
    requests: int


CASES = (
    Case(name="code, light", service="code", requests_per_second=1.2, requests=60_000),
    Case(name="code, 2 per replica", service="code", requests_per_second=32, requests=60_000),
    Case(name="code, 10 per replica", service="code", requests_per_second=160, requests=60_000),
    Case(name="chat, light", service="chat", requests_per_second=1.2, requests=30_000),
    Case(name="chat, 1 per replica", service="chat", requests_per_second=16, requests=30_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one case took."""

    cpu_seconds: float
    requests: int
    output_tokens: int


def recorded_lengths(service: str) -> list[tuple[int, int]]:
    path = ROOT / "foresail/demo/data/recorded_hour.csv.gz"
    with gzip.open(path, "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["service"] == service]
    return [(int(row["prompt_tokens"]), int(row["output_tokens"])) for row in rows]


def make_arrivals(case: Case) -> list[tuple[int, Request]]:
    generator = np.random.default_rng(SEED)
    gaps = generator.exponential(1 / case.requests_per_second, case.requests)
    times = [picoseconds(at) for at in np.cumsum(gaps)]
    lengths = recorded_lengths(case.service)
    picks = generator.integers(len(lengths), size=case.requests)
    return [(at, Request(n, *lengths[picks[n]])) for n, at in enumerate(times)]


def simulate(arrivals: Sequence[tuple[int, Request]]) -> Result:
    """Round robin over the replicas, then all of it to its end."""
    row = read_row(ROW)
    limits = EngineLimits(
        kv_capacity_tokens=row.kv_capacity_tokens, max_sequence_count=256, max_step_tokens=8192
    )
    models = [EngineModel(costs=row.costs, limits=limits) for _ in range(REPLICAS)]
    begin = time.process_time()
    for at, request in arrivals:
        models[request.number % REPLICAS].submit(request, at=at)
    done = []
    for model in models:
        model.advance(picoseconds(10**9))
        done += model.take_completions()
    taken = time.process_time() - begin
    tokens = sum(each.output_tokens for each in done)
    return Result(cpu_seconds=taken, requests=len(done), output_tokens=tokens)


def table(results: dict[Case, Result]) -> str:
    lines = [
        "| load | requests/s offered | simulated requests/s | simulated output tokens/s |",
        "|---|---:|---:|---:|",
    ]
    for case, result in results.items():
        lines.append(
            f"| {case.name} | {case.requests_per_second:g} | "
            f"{result.requests / result.cpu_seconds:,.0f} | "
            f"{result.output_tokens / result.cpu_seconds:,.0f} |"
        )
    return "\n".join(lines)


def write_page(text: str, *, is_held: bool) -> None:
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    page = f"""# Speed of the engine model

The pure model of one engine, {REPLICAS} replicas in turn, one core ({machine}), CPU time of the quickest
of three runs. Lengths: recorded code completions and conversations (`foresail/demo/data`); arrivals:
exponential gaps, seed {SEED}; costs: `{ROW}`.

{text}

Budget: {BUDGET_REQUESTS_PER_SECOND:,} requests/s under the light load of code completions: {"held" if is_held else "**not held**"}.
The model alone was measured: reading a trace, routing and scaling come on top.

Renew it with `.venv/bin/python benchmarks/bench_engine_model.py --write`.
"""
    (ROOT / "docs/benchmarks/engine_model.md").write_text(page)


def profile() -> None:
    arrivals = make_arrivals(CASES[0])
    profiler = cProfile.Profile()
    profiler.enable()
    simulate(arrivals)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile()
        return 0
    results = {}
    for case in CASES:
        arrivals = make_arrivals(case)
        runs = [simulate(arrivals) for _ in range(3)]
        results[case] = min(runs, key=lambda run: run.cpu_seconds)
    text = table(results)
    print(text)
    light = results[CASES[0]]
    is_held = light.requests / light.cpu_seconds >= BUDGET_REQUESTS_PER_SECOND
    if given.write:
        write_page(text, is_held=is_held)
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())

"""Requests per second that replay's plant simulates on one core, at 1 to 64 replicas.

Run from the repository root: python benchmarks/bench_replay.py [--trace FILE] [--reasoning-trace FILE]
[--write]. Traces are Parquet files with arrival_s, prompt_tokens and output_tokens; without them
requests are drawn with the same statistics and a fixed seed. `--write` renews docs/benchmarks/replay.md.
Says 1 when the budget is not held.
"""

import argparse
import csv
import gzip
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from autoscaler.engine_model.costs import EngineLimits, picoseconds  # noqa: E402
from autoscaler.engine_model.engine import EngineModel  # noqa: E402
from autoscaler.engine_model.request import Request  # noqa: E402
from autoscaler.replay.service_plant import ServicePlant  # noqa: E402
from autoscaler.replay.workload import IntArray, Workload  # noqa: E402
from foresail.emulate.performance import read_row  # noqa: E402

REPLICAS = (1, 4, 16, 64)
BUDGET_REPLICAS = 16
BUDGET_REQUESTS_PER_SECOND = 100_000
LOOK_SECONDS = 15.0
PREFIX_REQUESTS = 60_000  # of the comparison with the engine model
CODE_ROW = "llama2-70b-h100-tp4-meas"
REASONING_ROW = "llama-3.1-8b-h100-tp1"
SEED = 7
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Requests and the engines they meet."""

    name: str
    row: str
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one replay took."""

    replicas: int
    cpu_seconds: float
    completed_requests: int
    output_tokens: int

    @property
    def line(self) -> str:
        return (
            f"{self.completed_requests:,} | {self.cpu_seconds:.2f} s | "
            f"{self.completed_requests / self.cpu_seconds:,.0f} | "
            f"{self.output_tokens / self.cpu_seconds:,.0f}"
        )


def read_trace(file: Path, *, row: str) -> Trace:
    from pyarrow import parquet  # noqa: PLC0415 # not needed without a file

    table = parquet.read_table(file, columns=["arrival_s", "prompt_tokens", "output_tokens"])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    workload = Workload(
        arrival_seconds=columns["arrival_s"].astype(np.float64),
        prompt_tokens=columns["prompt_tokens"].astype(np.int64),
        output_tokens=columns["output_tokens"].astype(np.int64),
    )
    return Trace(name=file.stem, row=row, workload=workload)


def drawn_code() -> Trace:
    """A week of code completions at 1.2 requests/s, three times as many at noon of a working day."""
    generator = np.random.default_rng(SEED)
    minutes = np.arange(7 * 24 * 60)
    day = np.exp(2.2 * np.cos(2 * np.pi * (minutes / 1440 - 0.5)))
    rate = day * np.where(minutes // 1440 >= 5, 0.5, 1.0)
    counts = generator.poisson(rate * 1.2 * 60 / rate.mean())
    starts = np.repeat(minutes * 60.0, counts)
    lengths = recorded_lengths()[generator.integers(len(recorded_lengths()), size=len(starts))]
    return Trace(
        name="drawn code completions",
        row=CODE_ROW,
        workload=Workload(
            arrival_seconds=np.sort(starts + generator.uniform(0, 60, len(starts))),
            prompt_tokens=lengths[:, 0],
            output_tokens=lengths[:, 1],
        ),
    )


def recorded_lengths() -> IntArray:
    path = ROOT / "foresail/demo/data/recorded_hour.csv.gz"
    with gzip.open(path, "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["service"] == "code"]
    return np.array([(int(r["prompt_tokens"]), int(r["output_tokens"])) for r in rows], np.int64)


def drawn_reasoning() -> Trace:
    """A day at 8 requests/s: short prompts with a long tail, answers of 1,500 tokens on average."""
    generator = np.random.default_rng(SEED)
    count = 690_000

    def lengths(median: float, sigma: float) -> IntArray:
        drawn = generator.lognormal(np.log(median), sigma, count)
        return np.clip(np.rint(drawn), 1, 60_000).astype(np.int64)

    workload = Workload(
        arrival_seconds=np.sort(generator.uniform(0, DAY_SECONDS, count)),
        prompt_tokens=lengths(208, 1.9),
        output_tokens=lengths(791, 1.15),
    )
    return Trace(name="drawn reasoning", row=REASONING_ROW, workload=workload)


def limits_of(row: str) -> EngineLimits:
    known = read_row(row)
    return EngineLimits(
        kv_capacity_tokens=known.kv_capacity_tokens,
        max_sequence_count=256,
        max_step_tokens=known.max_step_tokens,
    )


def make_plant(trace: Trace, *, replicas: int) -> ServicePlant:
    plant = ServicePlant(
        workload=trace.workload, costs=read_row(trace.row).costs, limits=limits_of(trace.row)
    )
    for _ in range(replicas):
        plant.open_replica(plant.add_replica())
    return plant


def replay(trace: Trace, *, replicas: int, look_seconds: float | None) -> Result:
    """All of it to its end: in one go, or looked at as a runner does."""
    plant = make_plant(trace, replicas=replicas)
    end = trace.workload.end_seconds
    begin = time.process_time()
    if look_seconds is not None:
        for look in range(1, int(end / look_seconds) + 1):
            plant.advance(look * look_seconds)
            plant.samples()
            plant.take_first_tokens()
            plant.take_finished()
    plant.advance(end + 3 * DAY_SECONDS)
    return Result(
        replicas=replicas,
        cpu_seconds=time.process_time() - begin,
        completed_requests=plant.completed_requests,
        output_tokens=plant.completed_output_tokens,
    )


def quickest(trace: Trace, *, replicas: int, look_seconds: float | None = None) -> Result:
    runs = [replay(trace, replicas=replicas, look_seconds=look_seconds) for _ in range(3)]
    return min(runs, key=lambda run: run.cpu_seconds)


def engine_model_requests_per_second(trace: Trace) -> float:
    """The pure model without any router: one replica after the other gets the next request."""
    costs, limits = read_row(trace.row).costs, limits_of(trace.row)
    models = [EngineModel(costs=costs, limits=limits) for _ in range(BUDGET_REPLICAS)]
    arrivals = [picoseconds(at) for at in trace.workload.arrival_seconds.tolist()]
    prompts, outputs = trace.workload.prompt_tokens.tolist(), trace.workload.output_tokens.tolist()
    begin = time.process_time()
    for number, at in enumerate(arrivals):
        request = Request(number, prompts[number], outputs[number])
        models[number % BUDGET_REPLICAS].submit(request, at=at)
    for model in models:
        model.advance(arrivals[-1] + picoseconds(DAY_SECONDS))
    return len(arrivals) / (time.process_time() - begin)


def prefix_of(trace: Trace) -> Trace:
    end = float(trace.workload.arrival_seconds[min(PREFIX_REQUESTS, len(trace.workload) - 1)])
    return Trace(name=trace.name, row=trace.row, workload=trace.workload.between(0.0, end))


def first_call_seconds(trace: Trace) -> float:
    """Import, and compile or load what was compiled before: what a process pays once."""
    begin = time.perf_counter()
    make_plant(trace, replicas=1).advance(0.0)
    return time.perf_counter() - begin


def table(trace: Trace, *, sizes: tuple[int, ...]) -> tuple[str, dict[int, Result]]:
    lines = [
        f"`{trace.name}`: {len(trace.workload):,} requests, mean {trace.workload.prompt_tokens.mean():,.0f} + "
        f"{trace.workload.output_tokens.mean():,.0f} tokens, engines `{trace.row}`.",
        "",
        "| replicas | looked at | completed | CPU | requests/s | output tokens/s |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    results = {}
    for replicas in sizes:
        results[replicas] = quickest(trace, replicas=replicas)
        lines.append(f"| {replicas} | at the end | {results[replicas].line} |")
    watched = quickest(trace, replicas=BUDGET_REPLICAS, look_seconds=LOOK_SECONDS)
    lines.append(f"| {BUDGET_REPLICAS} | every {LOOK_SECONDS:.0f} s | {watched.line} |")
    return "\n".join(lines), results


def comparison(trace: Trace) -> str:
    short = prefix_of(trace)
    plant = quickest(short, replicas=BUDGET_REPLICAS)
    kernel = plant.completed_requests / plant.cpu_seconds
    model = engine_model_requests_per_second(short)
    return (
        f"First {len(short.workload):,} requests at {BUDGET_REPLICAS} replicas: the plant "
        f"{kernel:,.0f} requests/s, plain engine models without routing {model:,.0f}: "
        f"{kernel / model:.0f} times."
    )


def write_page(text: str, *, command: str, is_held: bool) -> None:
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    page = f"""# Speed of replay

The plant of replay (`autoscaler/replay/service_plant.py`): arrivals, least-loaded routing, engines, counters and
outcomes, without policies. One core ({machine}), CPU time of the quickest of three runs, compile time
apart. "Looked at every {LOOK_SECONDS:.0f} s" takes samples of all replicas and all new latencies each time, as a runner does.

{text}

Budget: {BUDGET_REQUESTS_PER_SECOND:,} requests/s at {BUDGET_REPLICAS} replicas on the first trace: {"held" if is_held else "**not held**"}.
Every result is the engine model's to the picosecond: `tests/properties/test_replay_kernel_equals_engine_model.py`.

Renew it with `{command}`.
"""
    (ROOT / "docs/benchmarks/replay.md").write_text(page)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, help="a week of short answers")
    parser.add_argument("--reasoning-trace", type=Path, help="a day of long answers")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def command_of(given: argparse.Namespace) -> str:
    words = [".venv/bin/python benchmarks/bench_replay.py"]
    for name, file in (
        ("--trace", given.trace),
        ("--reasoning-trace", given.reasoning_trace),
    ):
        words += [name, file.name] if file else []
    return " ".join([*words, "--write"])


def main() -> int:
    given = arguments()
    code = read_trace(given.trace, row=CODE_ROW) if given.trace else drawn_code()
    reasoning = (
        read_trace(given.reasoning_trace, row=REASONING_ROW)
        if given.reasoning_trace
        else drawn_reasoning()
    )
    once = first_call_seconds(code)
    code_table, results = table(code, sizes=REPLICAS)
    reasoning_table, _ = table(reasoning, sizes=(BUDGET_REPLICAS,))
    paid_once = (
        f"Paid once per process, not counted here: {once:.1f} s to import and load compiled code "
        "(some seconds more where nothing was compiled yet)."
    )
    text = "\n\n".join([code_table, comparison(code), reasoning_table, paid_once])
    print(text)
    held = results[BUDGET_REPLICAS]
    is_held = held.completed_requests / held.cpu_seconds >= BUDGET_REQUESTS_PER_SECOND
    if given.write:
        write_page(text, command=command_of(given), is_held=is_held)
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())

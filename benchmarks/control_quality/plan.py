"""What the comparison consists of: cases (a trace with a start time), their cells, and what they will take.

In: traces.yaml and a folder of traces. Out: cases with problems ready to run, and cells in a fixed order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from foresail.backtest.cell import Cell, Problem, Stage
from foresail.backtest.options import Options, TraceSource, duration_option
from foresail.backtest.policies import ALL, FORESAIL, knob_grid
from foresail.backtest.prepare import prepare
from foresail.backtest.report import DAY_SECONDS, Subject
from foresail.backtest.study import Question
from foresail.wiring.backtest import read_demand

FILE = Path(__file__).parent / "traces.yaml"
REQUESTS_PER_SECOND = 300_000
SECONDS_PER_FORESAIL_LOOK = 0.0015
SECONDS_PER_PEER_LOOK = 0.0002
LOOK_SECONDS = 15.0
"""What one core does, for the estimate; docs/benchmarks/replay.md has measurements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEntry:
    """One trace of the file."""

    file: str
    row: str
    copies: int
    days: float
    kind: str
    model: str | None = None

    @property
    def name(self) -> str:
        """As the results call it."""
        return self.file if self.model is None else f"{self.file}:{self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The file, narrowed by the command line."""

    ttft_seconds: float
    itl_seconds: float
    target_ratio: float
    tune_days: float
    starts_seconds: tuple[float, ...]
    traces: tuple[TraceEntry, ...]
    policies: tuple[str, ...]
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trace under one start time."""

    entry: TraceEntry
    start_seconds: float
    question: Question
    subject: Subject

    @property
    def name(self) -> str:
        """Names the file of its results."""
        return f"{self.entry.name.replace(':', '_')}-start-{self.start_seconds:g}s"

    @property
    def problem(self) -> Problem:
        """What all cells share."""
        return self.question.problem

    def mean_need_replicas(self) -> float:
        """Work of all requests over the length of the trace."""
        work = self.problem.setup(0).work.per_request(self.problem.workload(0))
        return float(work.sum()) / self.problem.end_seconds


def read_asked(
    *,
    traces: Sequence[str],
    starts: Sequence[float],
    policies: Sequence[str],
    seeds: int,
    days: float | None,
) -> Asked:
    """The file; empty sequences keep what it says."""
    text = yaml.safe_load(FILE.read_text())
    objectives = text["objectives"]
    entries = [TraceEntry(**each) for each in text["traces"]]
    known = [each.file for each in entries]
    for name in set(traces) - set(known):
        raise SystemExit(
            f"--trace {name}: there is no such trace; give some of: {', '.join(known)}"
        )
    return Asked(
        ttft_seconds=duration_option("ttft", objectives["ttft"]),
        itl_seconds=duration_option("itl", objectives["itl"]),
        target_ratio=objectives["target"],
        tune_days=text["tune_days"],
        starts_seconds=tuple(starts or text["starts_seconds"]),
        traces=tuple(
            TraceEntry(
                file=each.file, row=each.row, copies=each.copies, kind=each.kind, model=each.model,
                days=min(each.days, days or each.days),
            )
            for each in entries
            if not traces or each.file in traces
        ),
        policies=tuple(policies) or (ALL,),
        seeds=seeds,
    )  # fmt: skip


def make_case(asked: Asked, *, entry: TraceEntry, start_seconds: float, folder: Path) -> Case:
    """Reads the trace. Raises ConfigurationError, OSError."""
    options = Options(
        source=TraceSource(
            file=str(folder / f"{entry.file}.parquet"), model=entry.model, scale=entry.copies
        ),
        engine=entry.row,
        time_to_first_token_seconds=asked.ttft_seconds,
        output_token_seconds=asked.itl_seconds,
        target_ratio=asked.target_ratio,
        provision_seconds=start_seconds,
        tune_days=asked.tune_days,
        days=entry.days,
        max_replicas=None,
        seeds=asked.seeds,
        policies=asked.policies,
        is_sweep=True,
    )
    question, subject = prepare(options, demand=read_demand(options))
    return Case(entry=entry, start_seconds=start_seconds, question=question, subject=subject)


def cells(case: Case) -> Iterator[Cell]:
    """Every policy, every value of its knob, every seed; Foresail first."""
    setup = case.problem.setup(0)
    for seed in range(case.question.seeds):
        for policy in case.question.policies:
            for knob in knob_grid(policy, setup=setup):
                yield Cell(policy=policy, knob=knob, seed=seed, stage=Stage.SCORING)


def estimate_seconds(case: Case, *, missing: Sequence[Cell]) -> float:
    """Of one core, for the cells that are not there yet."""
    requests = len(case.problem.workload(0)) / REQUESTS_PER_SECOND
    looks = case.entry.days * DAY_SECONDS / LOOK_SECONDS
    ours = sum(cell.policy == FORESAIL for cell in missing)
    per_look = ours * SECONDS_PER_FORESAIL_LOOK + (len(missing) - ours) * SECONDS_PER_PEER_LOOK
    return len(missing) * requests + looks * per_look

"""The first hour of a service of which nothing is known, against peers that were measured and tuned.

Run from the repository root:

    python benchmarks/bench_cold_start.py TRACES [--jobs N] [--trace NAME] [--results FILE] [--forget NAME] [--write]

TRACES is a folder of Parquet files as `foresail backtest --trace` reads them. Finished replays are lines of the results
file (which git ignores) and are not run again, so `--forget foresail` after its code was changed. `--write` renews
docs/benchmarks/cold_start.md.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from cold_start_cells import (  # noqa: E402
    FORESAIL,
    PEERS,
    TRACES,
    Case,
    Ground,
    Record,
    Replay,
    TraceEntry,
    curve_birth_hour,
    tuned,
    tuning_records,
)
from cold_start_page import document  # noqa: E402

from autoscaler.replay.baselines.registry import BASELINES  # noqa: E402

NEEDS_REPLICAS = (2.0, 5.0)
STARTS_SECONDS = (15.0, 120.0, 420.0)
RESULTS = Path(__file__).parent / "control_quality" / "results" / "cold_start.jsonl"
PAGE = ROOT / "docs" / "benchmarks" / "cold_start.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one process is given: one policy on one trace under one start time, at both scales."""

    entry: TraceEntry
    start_seconds: float
    policy: str
    folder: Path
    done: Mapping[object, Record]  # by key

    def case(self, need_replicas: float) -> Case:
        return Case(entry=self.entry, need_replicas=need_replicas, start_seconds=self.start_seconds)


def chosen(names: list[str]) -> list[TraceEntry]:
    """The traces of these names; all without any."""
    return [each for each in TRACES if not names or each.file in names]


def tables_of(entries: list[TraceEntry]) -> list[list[Case]]:
    """One table per trace, its cases in order."""
    return [
        [
            Case(entry=entry, need_replicas=need, start_seconds=start)
            for need in NEEDS_REPLICAS
            for start in STARTS_SECONDS
        ]
        for entry in entries
    ]


def main() -> int:
    options = _options()
    records = [each for each in read_records(options.results) if each.policy not in options.forget]
    write_records(options.results, records)
    records += _replayed(options, done=records)
    page = document(
        records,
        tables=tables_of(chosen(options.trace)),
        command=f"python benchmarks/bench_cold_start.py {options.traces.resolve().name} --write",
    )
    if options.write:
        options.page.write_text(page)
    print(page)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", type=Path, help="folder of Parquet files")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trace", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--forget", action="append", default=[], help="a policy to replay anew")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of finished replays")
    parser.add_argument("--page", type=Path, default=PAGE, help="what --write writes")
    parser.add_argument("--write", action="store_true", help="renew the page")
    return parser.parse_args()


def _replayed(options: argparse.Namespace, *, done: list[Record]) -> list[Record]:
    """What is missing, written as it comes."""
    tasks = [
        Task(
            entry=entry,
            start_seconds=start,
            policy=policy,
            folder=options.traces,
            done={each.key: each for each in done if each.policy == policy},
        )
        for entry in chosen(options.trace)
        for start in STARTS_SECONDS
        for policy in (FORESAIL, *PEERS)
    ]
    found: list[Record] = []
    with ProcessPoolExecutor(options.jobs) as pool, options.results.open("a") as file:
        for number, records in enumerate(pool.map(missing_records, tasks), start=1):
            file.writelines(json.dumps(asdict(each)) + "\n" for each in records)
            file.flush()
            found += records
            print(f"{number} of {len(tasks)}: {len(records)} replays", flush=True)
    return found


def missing_records(task: Task) -> list[Record]:
    """Of one policy on one trace under one start time: its tuning, at the smaller scale, and first hours."""
    found: list[Record] = []

    def run(wanted: Replay) -> Record:
        known = task.done.get(wanted.key)
        if known is None:
            known = wanted.run()
            found.append(known)
        return known

    grounds = [Ground.read(task.case(need), folder=task.folder) for need in NEEDS_REPLICAS]
    knob = None
    if task.policy != FORESAIL:
        knob = tuned(tuning_records(grounds[0], peer=task.policy, run=run))
    for ground in grounds:
        for birth_hour in ground.births_hours():
            for each in _knobs(ground, task, chosen_knob=knob, birth_hour=birth_hour):
                run(Replay(ground=ground, policy=task.policy, knob=each, birth_hour=birth_hour))
    return found


def _knobs(
    ground: Ground, task: Task, *, chosen_knob: float | None, birth_hour: int
) -> list[float | None]:
    """The tuned one; for one birth of the day all there are."""
    if task.policy == FORESAIL or birth_hour != curve_birth_hour(ground.births_hours()):
        return [chosen_knob]
    grid = BASELINES[task.policy].grid(ground.setup)
    return [chosen_knob, *(each for each in grid if each != chosen_knob)]


def read_records(path: Path) -> list[Record]:
    """All whole lines; none where there is no file."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [Record(**json.loads(line)) for line in lines if line.endswith("\n")]


def write_records(path: Path, records: list[Record]) -> None:
    """The file with these alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in records))


if __name__ == "__main__":
    sys.exit(main())

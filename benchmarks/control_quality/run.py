"""Foresail against every peer on real traces: the whole comparison, resumable, with its estimate first.

Run from the repository root:

    python benchmarks/control_quality/run.py TRACES [--jobs N] [--trace NAME] [--start SECONDS] [--policy NAME]
        [--seeds N] [--days D] [--dask ADDRESS] [--write] [--estimate]
        [--forget NAME]

TRACES is the folder with the Parquet files that traces.yaml names. Each finished cell is a line in results/ (which git
ignores); what is there is skipped, so `--forget foresail` after its code was changed. `--write` renews docs/benchmarks/control_quality.md from all that is there for
the traces and starts asked for; `--estimate` only tells what is missing.
"""

import argparse
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from compare import compare  # noqa: E402
from plan import Asked, Case, cells, estimate_seconds, make_case, read_asked  # noqa: E402
from records import Recorder, forget, key_of, read_records  # noqa: E402
from write_up import Shown, document  # noqa: E402

from foresail.wiring.backtest import make_runner  # noqa: E402

RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "benchmarks" / "control_quality.md"


def main() -> int:
    options = _options()
    asked = read_asked(
        traces=options.trace,
        starts=options.start,
        policies=options.policy,
        seeds=options.seeds,
        days=options.days,
    )
    options.results.mkdir(exist_ok=True)
    total = 0.0
    for case in _cases(asked, folder=options.traces):
        forget(_path(case, results=options.results), policies=options.forget)
        total += _tell(case, results=options.results, jobs=options.jobs)
    print(
        f"in all about {total / 3600 / options.jobs:.1f} h with {options.jobs} processes",
        flush=True,
    )
    if not options.estimate:
        for case in _cases(asked, folder=options.traces):
            _run(case, options)
    if options.write:
        _write(asked, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", type=Path, help="folder of Parquet files")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--dask", help="address of a scheduler")
    parser.add_argument("--trace", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--start", action="append", type=float, default=[], help="repeatable")
    parser.add_argument("--policy", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--days", type=float, help="at most so many of each trace")
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        help="replay this policy anew: its code was changed",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of finished cells")
    parser.add_argument("--page", type=Path, default=PAGE, help="what --write writes")
    parser.add_argument("--write", action="store_true", help="renew the page")
    parser.add_argument("--estimate", action="store_true", help="run nothing")
    return parser.parse_args()


def _cases(asked: Asked, *, folder: Path) -> Iterator[Case]:
    for entry in asked.traces:
        for start in asked.starts_seconds:
            yield make_case(asked, entry=entry, start_seconds=start, folder=folder)


def _path(case: Case, *, results: Path) -> Path:
    """One file per question: other copies, days, rows, objectives or tuning days give another one."""
    entry, subject = case.entry, case.subject
    promise = (
        f"ttft{subject.time_to_first_token_seconds:g}s-itl{subject.output_token_seconds:g}s-"
        f"{subject.target_ratio:g}-tuned{subject.tuning_days:g}d"
    )
    return results / f"{case.name}-x{entry.copies}-{entry.days:g}d-{entry.row}-{promise}.jsonl"


def _missing(case: Case, *, results: Path) -> tuple[list, int]:
    """(cells that are not there yet, how many there are in all)."""
    wanted = list(cells(case))
    done = {each.key for each in read_records(_path(case, results=results))}
    return [each for each in wanted if key_of(each) not in done], len(wanted)


def _tell(case: Case, *, results: Path, jobs: int) -> float:
    missing, count = _missing(case, results=results)
    seconds = estimate_seconds(case, missing=missing)
    print(
        f"{case.name}: {len(missing)} of {count} cells to replay, about {seconds / 60 / jobs:.0f} min; "
        f"mean need {case.mean_need_replicas():.1f} replicas, {case.subject.requests:,} requests",
        flush=True,
    )
    return seconds


def _run(case: Case, options: argparse.Namespace) -> None:
    missing, count = _missing(case, results=options.results)
    if not missing:
        return
    print(case.name, flush=True)
    path = _path(case, results=options.results)
    recorder = Recorder(path, done=count - len(missing), count=count)
    make_runner(recorder, jobs=options.jobs, dask_address=options.dask)(case.problem, missing)


def _write(asked: Asked, options: argparse.Namespace) -> None:
    found = (_shown(case, results=options.results) for case in _cases(asked, folder=options.traces))
    shown = [each for each in found if each is not None]
    if not shown:
        print("nothing to write: no case has Foresail and the clairvoyant replayed yet")
        return
    folder = options.traces.resolve().name  # where it lies is nobody's business
    narrowed = _narrowed(options)
    command = f"make bench-quality TRACES={folder} ARGS='{narrowed}'"
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    page = document(shown, command=command, machine=machine, target_ratio=asked.target_ratio)
    options.page.write_text(page)
    print(f"wrote {options.page}")


def _narrowed(options: argparse.Namespace) -> str:
    """The options that change what is compared, as they are typed; not those that name places."""
    given = [("days", options.days)] if options.days is not None else []
    given += [("seeds", options.seeds)]
    for name in ("start", "trace", "policy"):
        given += [(name, each) for each in getattr(options, name)]
    return " ".join(
        f"--{name} {each:g}" if isinstance(each, float) else f"--{name} {each}"
        for name, each in given
    )


def _shown(case: Case, *, results: Path) -> Shown | None:
    records = [
        each
        for each in read_records(_path(case, results=results))
        if each.seed < case.question.seeds
    ]
    wanted = {key_of(each) for each in cells(case)}
    records = [each for each in records if each.key in wanted]
    comparison = compare(
        records,
        target_ratio=case.subject.target_ratio,
        scored_days=case.subject.scored_days,
    )
    if comparison is None:
        return None
    return Shown(
        trace=case.entry.name,
        kind=case.entry.kind,
        row=case.entry.row,
        copies=case.entry.copies,
        days=case.entry.days,
        start_seconds=case.start_seconds,
        mean_need_replicas=case.mean_need_replicas(),
        comparison=comparison,
        missing_policies=tuple(
            policy
            for policy in case.question.policies
            if policy not in {line.policy for line in comparison.lines}
        ),
    )


if __name__ == "__main__":
    sys.exit(main())

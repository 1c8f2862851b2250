"""Finished cells on disk: one JSON line each, so that an interrupted comparison goes on where it was.

In: results of cells. Out: records, read back. A line that was cut off by a kill is dropped and its cell runs again. A
file belongs to one question: trace, start time, copies, days, engine row, objectives and tuning days.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from foresail.backtest.cell import Cell, CellResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one window."""

    attainment_ratio: float
    gpu_hours: float
    changes: int
    lost_requests: int  # shed, failed and unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One finished cell."""

    policy: str
    knob: float | None
    seed: int
    tuning: Figures
    scored: Figures

    @property
    def key(self) -> tuple[str, float | None, int]:
        """What makes it unique within a case."""
        return self.policy, self.knob, self.seed


def key_of(cell: Cell) -> tuple[str, float | None, int]:
    """As `Record.key`."""
    return cell.policy, cell.knob, cell.seed


def read_records(path: Path) -> list[Record]:
    """All whole lines; none where there is no file."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        fields |= {name: Figures(**fields[name]) for name in ("tuning", "scored")}
        found.append(Record(**fields))
    return found


def forget(path: Path, *, policies: Iterable[str]) -> None:
    """Drops the records of these policies."""
    dropped = set(policies)
    if dropped and path.exists():
        kept = [each for each in read_records(path) if each.policy not in dropped]
        path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in kept))


class Recorder:
    """Writes each result when it is there; what a runner calls its progress."""

    def __init__(self, path: Path, *, done: int, count: int) -> None:
        self._path, self._done, self._count = path, done, count
        if path.exists() and not path.read_text().endswith("\n"):
            with path.open("a") as file:
                file.write("\n")  # after a line that was cut off

    def begin(self, stage: object, *, count: int) -> None:
        """Nothing to tell: the estimate was printed."""

    def advance(self, result: CellResult) -> None:
        """Appends its line."""
        assert result.tuning_score is not None
        record = Record(
            policy=result.cell.policy,
            knob=result.cell.knob,
            seed=result.cell.seed,
            tuning=_figures([result.tuning_score]),
            scored=_figures([result.score]),
        )
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        self._done += 1
        scored = record.scored
        knob = "" if record.knob is None else f" {record.knob:g}"
        print(
            f"  {self._done}/{self._count} {record.policy}{knob} seed {record.seed}: "
            f"{scored.attainment_ratio:.4f} at {scored.gpu_hours:.1f}",
            flush=True,
        )


def _figures(scores: Iterable) -> Figures:  # of one Score
    (score,) = scores
    return Figures(
        attainment_ratio=score.attainment_ratio,
        gpu_hours=score.gpu_hours,
        changes=score.changes,
        lost_requests=score.shed_requests + score.failed_requests + score.unfinished_requests,
    )

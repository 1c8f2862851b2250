"""What a backtest found, as one value: the table's rows, the curves, and what they were made from.

In: scores of cells. Out: `Report`, which `--json` prints as it stands and the page draws. Holds no time
of day, so that the same question gives the same bytes. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoscaler.replay.score import Score
from foresail.backtest.cell import CellResult
from foresail.backtest.curve import CurvePoint, Regret, regret

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was replayed, on what, under which promise."""

    trace: str
    model: str | None
    requests: int
    trace_days: float
    scale: int  # copies of the trace laid on each other
    is_reconstructed: bool  # requests realised from binned history, not recorded
    notes: tuple[str, ...]
    engine: str
    gpus_per_replica: int
    time_to_first_token_seconds: float
    output_token_seconds: float
    target_ratio: float
    provision_seconds: float
    initial_replicas: int
    max_replicas: int
    tuning_days: float
    scored_days: float
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Smallest and largest of several seeds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One policy on the scored days, mean of the seeds."""

    policy: str
    knob: str | None  # None: it has none
    knob_value: float | None  # None: it has none
    reached_target_when_tuned: bool | None  # None: not tuned
    attainment_ratio: float
    attainment_spread: Spread
    time_to_first_token_good_ratio: float
    output_token_good_ratio: float
    gpu_hours: float
    gpu_hours_spread: Spread
    clairvoyant: Regret | None  # its hours over the clairvoyant's at the same attainment
    changes_per_day: float
    shed_requests: float
    failed_requests: float
    unfinished_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything, ready for a program or a person."""

    subject: Subject
    policies: tuple[PolicyRow, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]  # {policy: a point per value of its knob}


def policy_row(
    scores: Sequence[Score], *, row: "RowFacts", clairvoyant: Iterable[CurvePoint]
) -> PolicyRow:
    """The row of one policy from its scores, one per seed."""
    attainment = [each.attainment_ratio for each in scores]
    hours = [each.gpu_hours for each in scores]
    return PolicyRow(
        policy=row.policy,
        knob=row.knob,
        knob_value=row.knob_value,
        reached_target_when_tuned=row.reached_target_when_tuned,
        attainment_ratio=fmean(attainment),
        attainment_spread=Spread(low=min(attainment), high=max(attainment)),
        time_to_first_token_good_ratio=fmean(s.time_to_first_token_good_ratio for s in scores),
        output_token_good_ratio=fmean(s.output_token_good_ratio for s in scores),
        gpu_hours=fmean(hours),
        gpu_hours_spread=Spread(low=min(hours), high=max(hours)),
        clairvoyant=regret(clairvoyant, attainment_ratio=fmean(attainment), gpu_hours=fmean(hours)),
        changes_per_day=fmean(s.changes for s in scores) / row.scored_days,
        shed_requests=fmean(s.shed_requests for s in scores),
        failed_requests=fmean(s.failed_requests for s in scores),
        unfinished_requests=fmean(s.unfinished_requests for s in scores),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFacts:
    """What a row says beside its scores."""

    policy: str
    knob: str | None
    knob_value: float | None
    reached_target_when_tuned: bool | None
    scored_days: float


def curve_point(results: Sequence[CellResult]) -> CurvePoint:
    """The mean over seeds of one knob value."""
    return CurvePoint(
        knob=results[0].cell.knob,
        attainment_ratio=fmean(each.score.attainment_ratio for each in results),
        gpu_hours=fmean(each.score.gpu_hours for each in results),
    )


def in_order(rows: Iterable[PolicyRow], *, target_ratio: float) -> tuple[PolicyRow, ...]:
    """Those that hold the target by rising hours, then the others by falling attainment."""
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                (0, row.gpu_hours, row.policy)
                if row.attainment_ratio >= target_ratio
                else (1, -row.attainment_ratio, row.policy)
            ),
        )
    )

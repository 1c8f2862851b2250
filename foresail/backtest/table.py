"""The table of a backtest as people read it: columns and cells of text.

In: a `Report`. Out: a heading, rows for `print_table`, and what has to be said below them. Pure.
"""

from typing import Final

from foresail.backtest.curve import Bound, Regret
from foresail.backtest.report import PolicyRow, Report, Spread, Subject

COLUMNS: Final = (
    "policy",
    "knob",
    "attained",
    "TTFT good",
    "ITL good",
    "GPU-hours",
    "vs clairvoyant",
    "changes/day",
    "shed",
    "failed",
    "unfinished",
)
ESSENTIAL: Final = ("policy", "attained", "GPU-hours", "vs clairvoyant", "changes/day")
"""What a terminal of 80 columns has room for."""
_SIGN: Final = {Bound.EXACT: "", Bound.AT_MOST: "<= ", Bound.AT_LEAST: ">= "}


def heading(subject: Subject) -> tuple[str, ...]:
    """What was asked, in two lines."""
    name = subject.trace if subject.model is None else f"{subject.trace} ({subject.model})"
    kind = "reconstructed from history" if subject.is_reconstructed else "recorded"
    times = f" x {subject.scale}" if subject.scale > 1 else ""
    first = (
        f"{name}{times}, {kind}: {subject.requests:,} requests in {subject.trace_days:.2f} days, "
        f"scored on the last {subject.scored_days:.2f}"
    )
    second = (
        f"{subject.engine}, start {subject.provision_seconds:g} s, at most {subject.max_replicas} "
        f"replicas of {subject.gpus_per_replica} GPU; TTFT <= {subject.time_to_first_token_seconds:g} s "
        f"and ITL <= {subject.output_token_seconds * 1000:g} ms for {subject.target_ratio:.2%}"
    )
    return (first, second)


def table_rows(report: Report) -> tuple[tuple[str, ...], ...]:
    """A row per policy."""
    return tuple(_cells(row, is_spread=report.subject.seeds > 1) for row in report.policies)


def footnotes(report: Report) -> tuple[str, ...]:
    """What the columns do not say."""
    lines = list(report.subject.notes)
    missed = [row.policy for row in report.policies if row.reached_target_when_tuned is False]
    if missed:
        lines.append(
            f"no value of the knob held the target on the tuning days, so the best attaining one was "
            f"taken: {', '.join(missed)}"
        )
    lines.append(
        "attained: share of offered requests that kept both objectives; vs clairvoyant: GPU-hours over "
        "those of perfect foresight at the same attainment, <= and >= where its curve ends before"
    )
    lines.append("what each policy does: docs/reference/baselines.md")
    if report.subject.is_reconstructed:
        lines.append("requests were realised anew for each seed; ranges are over the seeds")
    return tuple(lines)


def _cells(row: PolicyRow, *, is_spread: bool) -> tuple[str, ...]:
    return (
        row.policy,
        "-" if row.knob_value is None else f"{row.knob} = {row.knob_value:g}",
        _share(row.attainment_ratio) + _shares(row.attainment_spread, is_shown=is_spread),
        _share(row.time_to_first_token_good_ratio),
        _share(row.output_token_good_ratio),
        f"{row.gpu_hours:.1f}" + _hours(row.gpu_hours_spread, is_shown=is_spread),
        regret_text(row.clairvoyant),
        f"{row.changes_per_day:.0f}",
        f"{row.shed_requests:.0f}",
        f"{row.failed_requests:.0f}",
        f"{row.unfinished_requests:.0f}",
    )


def regret_text(found: Regret | None) -> str:
    """Such as `1.08x` or `<= 1.08x`."""
    return "-" if found is None else f"{_SIGN[found.bound]}{found.ratio:.2f}x"


def _share(ratio: float) -> str:
    return f"{100 * ratio:.2f}%"


def _shares(spread: Spread, *, is_shown: bool) -> str:
    return f" ({100 * spread.low:.2f}-{100 * spread.high:.2f})" if is_shown else ""


def _hours(spread: Spread, *, is_shown: bool) -> str:
    return f" ({spread.low:.1f}-{spread.high:.1f})" if is_shown else ""

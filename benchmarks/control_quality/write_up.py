"""docs/benchmarks/control_quality.md: what was compared, in tables, and in plain words where a target is missed.

In: comparisons of cases. Out: Markdown. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compare import Comparison, Line

from foresail.backtest.curve import Bound, Regret
from foresail.backtest.policies import FORESAIL
from foresail.backtest.table import regret_text

CLAIRVOYANT_LIMITS = {
    "seasonal": {120.0: 1.06, 420.0: 1.10},
    "bursty": {120.0: 1.15, 420.0: 1.25},
}
PLAIN_RULE = "work_rule"
MAX_CHANGES_RATIO = 0.5
ALIKE_RATIO = 0.005
"""Of attainment: peers this near to ours are asked how often they change something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One case with what it was."""

    trace: str
    kind: str
    row: str
    copies: int
    days: float
    start_seconds: float
    mean_need_replicas: float
    comparison: Comparison
    missing_policies: tuple[str, ...]  # with no seed of which every knob was replayed

    @property
    def where(self) -> str:
        """As sentences call it."""
        return f"{self.trace}, start {self.start_seconds:g} s"


def document(cases: Sequence[Shown], *, command: str, machine: str, target_ratio: float) -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Control quality",
            "",
            f"Every policy of `foresail backtest` on recorded traces, each but Foresail tuned on the first day and "
            f"scored on the others. Foresail runs with its shipped defaults and is told the target, {target_ratio:.0%} of "
            "requests inside both objectives; what a replica sustains it learns, beginning with a start-up "
            "probe of the simulated engine and the median start time. Peers that measure their "
            "engines beforehand are given the truth.",
            "",
            f"Made by `{command}` on {machine}.",
            "",
            *_summary(cases),
            "",
            *_misses(cases, target_ratio=target_ratio),
            *_not_replayed(cases),
            *(line for each in cases for line in _case(each)),
            "",
            "* *vs Foresail*: GPU-hours of the policy at Foresail's attainment, read off the curve of all "
            "values of its knob, over Foresail's. Above 1 it is dearer. `>=`: no value of its knob attains as much, so its dearest "
            "point on the curve was taken, and it would cost more still; `<=`: every value attains more.",
            "* Two policies are compared over the seeds that both were replayed with.",
            "* *vs clairvoyant*: GPU-hours over those of perfect foresight at the policy's own attainment.",
            "* Attained: share of offered requests that kept both objectives; those shed, failed or unfinished count as missed.",
            "",
        ]
    )


def _summary(cases: Sequence[Shown]) -> Iterator[str]:
    yield (
        "| trace | kind | start | mean need | attained | GPU-hours | vs clairvoyant | cheapest adaptive peer | "
        "vs plain rule | changes/day (plain rule) |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for each in cases:
        ours, plain = each.comparison.ours, _line(each.comparison, PLAIN_RULE)
        peer = cheapest_peer(each.comparison)
        yield (
            f"| {each.trace} | {each.kind} | {each.start_seconds:g} s | {each.mean_need_replicas:.1f} | "
            f"{ours.attainment_ratio:.2%} | {ours.gpu_hours:.0f} | {regret_text(ours.over_clairvoyant)} | "
            f"{'-' if peer is None else f'{peer.policy} {regret_text(peer.over_ours)}'} | "
            f"{'-' if plain is None else regret_text(plain.over_ours)} | "
            f"{ours.changes_per_day:.0f} ({'-' if plain is None else f'{plain.changes_per_day:.0f}'}) |"
        )


def _misses(cases: Sequence[Shown], *, target_ratio: float) -> Iterator[str]:
    found = [line for each in cases for line in misses(each, target_ratio=target_ratio)]
    yield "## Targets that were not reached"
    yield ""
    yield from (f"* {line}" for line in found)
    if not found:
        yield "None in the cases above."
    yield ""


def _not_replayed(cases: Sequence[Shown]) -> Iterator[str]:
    """Cases with the same gaps in one sentence."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for each in cases:
        if each.missing_policies:
            grouped.setdefault(each.missing_policies, []).append(each.where)
    if grouped:
        yield "## What was not replayed"
        yield ""
        yield from (
            f"* {'; '.join(where)}: {', '.join(names)}." for names, where in grouped.items()
        )
        yield ""


def misses(shown: Shown, *, target_ratio: float) -> Iterator[str]:
    """What falls short in one case, a sentence each."""
    where, ours = shown.where, shown.comparison.ours
    if ours.attainment_ratio < target_ratio:
        yield f"{where}: {ours.attainment_ratio:.2%} attained, wanted {target_ratio:.0%}."
    for line in shown.comparison.lines:
        if line.is_adaptive_peer and _is_cheaper(line.over_ours):
            yield (
                f"{where}: {line.policy} reaches Foresail's {ours.attainment_ratio:.2%} with "
                f"{regret_text(line.over_ours)} its GPU-hours."
            )
    limit = CLAIRVOYANT_LIMITS[shown.kind].get(shown.start_seconds)
    found = ours.over_clairvoyant
    if limit is not None and found is not None and found.ratio > limit:
        yield f"{where}: {regret_text(found)} of perfect foresight, wanted at most {limit:.2f}x."
    plain = _line(shown.comparison, PLAIN_RULE)
    if plain is not None and ours.changes_per_day > MAX_CHANGES_RATIO * plain.changes_per_day:
        yield (
            f"{where}: {ours.changes_per_day:.0f} changes a day, wanted at most half of the plain rule's "
            f"{plain.changes_per_day:.0f}."
        )
    calm = calmest_peer(shown.comparison)
    if calm is not None and ours.changes_per_day > calm.changes_per_day:
        yield (
            f"{where}: {ours.changes_per_day:.0f} changes a day, {calm.policy} {calm.changes_per_day:.0f} at "
            f"{calm.attainment_ratio:.2%}."
        )


def calmest_peer(comparison: Comparison) -> Line | None:
    """The adaptive one as tuned that changes least, of those that attain about as much."""
    near = [
        each
        for each in comparison.lines
        if each.is_adaptive_peer
        and abs(each.attainment_ratio - comparison.ours.attainment_ratio) <= ALIKE_RATIO
    ]
    return min(near, key=lambda each: each.changes_per_day, default=None)


def _is_cheaper(found: Regret | None) -> bool:
    """Surely: a lower bound below 1 says nothing."""
    return found is not None and found.ratio < 1.0 and found.bound is not Bound.AT_LEAST


def cheapest_peer(comparison: Comparison) -> Line | None:
    """Of the adaptive ones that can attain as much as Foresail does."""
    able = [
        each
        for each in comparison.lines
        if each.is_adaptive_peer and each.over_ours and each.over_ours.bound is not Bound.AT_LEAST
    ]
    return min(able, key=lambda each: each.over_ours.ratio if each.over_ours else 0.0, default=None)


def _case(shown: Shown) -> Iterator[str]:
    yield f"## {shown.trace}, start {shown.start_seconds:g} s"
    yield ""
    yield (
        f"{shown.copies} copies on {shown.row}, {shown.days:g} days; the mean need is "
        f"{shown.mean_need_replicas:.1f} replicas. Foresail attained by seed: "
        f"{', '.join(f'{each:.2%}' for each in shown.comparison.ours_by_seed)}."
    )
    yield ""
    yield "| policy | knob | seeds | attained | GPU-hours | vs Foresail | vs clairvoyant | changes/day | lost |"
    yield "|---|---|---|---|---|---|---|---|---|"
    rows = sorted(
        shown.comparison.lines, key=lambda each: each.over_ours.ratio if each.over_ours else 0.0
    )
    for each in rows:
        name = f"**{each.policy}**" if each.policy == FORESAIL else each.policy
        knob = "-" if each.knob is None else f"{each.knob:g}"
        yield (
            f"| {name} | {knob} | {each.seeds} | {each.attainment_ratio:.2%} | {each.gpu_hours:.1f} | {regret_text(each.over_ours)} | "
            f"{regret_text(each.over_clairvoyant)} | {each.changes_per_day:.0f} | {each.lost_requests:.0f} |"
        )
    yield ""


def _line(comparison: Comparison, policy: str) -> Line | None:
    return next((each for each in comparison.lines if each.policy == policy), None)

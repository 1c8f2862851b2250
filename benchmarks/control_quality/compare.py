"""What the records of one case say: every policy tuned on the first day, compared at equal attainment.

In: records, the target. Out: a `Comparison` with a `Line` per policy. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from records import Figures, Record

from autoscaler.replay.baselines.registry import BASELINES
from foresail.backtest.curve import Bound, CurvePoint, Regret, hours_at, regret
from foresail.backtest.policies import CLAIRVOYANT, FORESAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One policy as tuned on the first day; means of the seeds over the scored days."""

    policy: str
    knob: float | None
    attainment_ratio: float
    gpu_hours: float
    changes_per_day: float
    lost_requests: float
    over_ours: Regret | None  # its hours at our attainment, by its swept curve, over ours
    over_clairvoyant: Regret | None  # its hours over the clairvoyant's at its own attainment

    @property
    def is_adaptive_peer(self) -> bool:
        """Neither ours, nor a fixed count, nor one that knows the future."""
        return self.policy in BASELINES and BASELINES[self.policy].is_adaptive


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one case; `ours` is also among the lines."""

    ours: Line
    lines: tuple[Line, ...]
    seeds: int


def compare(
    records: Sequence[Record], *, target_ratio: float, scored_days: float
) -> Comparison | None:
    """None while Foresail or the clairvoyant was not replayed yet."""
    means = _means(records)
    policies = list(dict.fromkeys(policy for policy, _ in means))
    if not {FORESAIL, CLAIRVOYANT} <= set(policies):
        return None
    curves = {
        each: [
            CurvePoint(knob=knob, attainment_ratio=scored.attainment_ratio, gpu_hours=scored.gpu_hours)
            for (policy, knob), (_, scored) in means.items()
            if policy == each
        ]
        for each in policies
    }  # fmt: skip
    ours = curves[FORESAIL][0]
    lines = []
    for policy in policies:
        knob = _chosen(policy, means, target_ratio=target_ratio)
        scored = means[policy, knob][1]
        lines.append(
            Line(
                policy=policy,
                knob=knob,
                attainment_ratio=scored.attainment_ratio,
                gpu_hours=scored.gpu_hours,
                changes_per_day=scored.changes / scored_days,
                lost_requests=scored.lost_requests,
                over_ours=_over(curves[policy], ours=ours),
                over_clairvoyant=regret(
                    curves[CLAIRVOYANT],
                    attainment_ratio=scored.attainment_ratio,
                    gpu_hours=scored.gpu_hours,
                ),
            )
        )
    return Comparison(
        ours=next(each for each in lines if each.policy == FORESAIL),
        lines=tuple(lines),
        seeds=len({each.seed for each in records}),
    )


def _over(curve: Iterable[CurvePoint], *, ours: CurvePoint) -> Regret | None:
    """Hours of the curve at our attainment over ours."""
    read = hours_at(curve, attainment_ratio=ours.attainment_ratio)
    if read is None:
        return None
    # The curve's hours are on top here, so what was a lower bound of the ratio is an upper one.
    turned = {
        Bound.EXACT: Bound.EXACT,
        Bound.AT_MOST: Bound.AT_LEAST,
        Bound.AT_LEAST: Bound.AT_MOST,
    }
    return Regret(ratio=read.gpu_hours / ours.gpu_hours, bound=turned[read.bound])


def _means(
    records: Iterable[Record],
) -> dict[tuple[str, float | None], tuple[Figures, Figures]]:
    """{(policy, knob): (tuning, scored)}, over the seeds."""
    grouped: dict[tuple[str, float | None], list[Record]] = defaultdict(list)
    for each in records:
        grouped[each.policy, each.knob].append(each)
    return {
        key: (_mean([each.tuning for each in group]), _mean([each.scored for each in group]))
        for key, group in grouped.items()
    }


def _mean(figures: Sequence[Figures]) -> Figures:
    return Figures(
        attainment_ratio=fmean(each.attainment_ratio for each in figures),
        gpu_hours=fmean(each.gpu_hours for each in figures),
        changes=fmean(each.changes for each in figures),
        lost_requests=fmean(each.lost_requests for each in figures),
    )


def _chosen(
    policy: str,
    means: dict[tuple[str, float | None], tuple[Figures, Figures]],
    *,
    target_ratio: float,
) -> float | None:
    """As `foresail backtest` tunes: the cheapest that holds the target on the first day, else the best."""
    tuning = {knob: first for (name, knob), (first, _) in means.items() if name == policy}
    good = [knob for knob, each in tuning.items() if each.attainment_ratio >= target_ratio]
    if good:
        return min(good, key=lambda knob: tuning[knob].gpu_hours)
    return min(tuning, key=lambda knob: (-tuning[knob].attainment_ratio, tuning[knob].gpu_hours))

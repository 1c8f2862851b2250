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
    seeds: int
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
    ours_by_seed: tuple[float, ...]  # attained
    lines: tuple[Line, ...]


Seeds = frozenset[int]


def compare(
    records: Sequence[Record], *, target_ratio: float, scored_days: float
) -> Comparison | None:
    """None while Foresail or the clairvoyant was not replayed yet.

    Two policies are compared over the seeds that both were replayed with, each knob of theirs.
    """
    seeds = _seeds(records)
    if not (seeds.get(FORESAIL) and seeds.get(CLAIRVOYANT)):
        return None
    lines = []
    for policy in (each for each, whole in seeds.items() if whole):
        means = _means(records, policy=policy, seeds=seeds[policy])
        knob = _chosen(means, target_ratio=target_ratio)
        scored = means[knob][1]
        lines.append(
            Line(
                policy=policy,
                knob=knob,
                seeds=len(seeds[policy]),
                attainment_ratio=scored.attainment_ratio,
                gpu_hours=scored.gpu_hours,
                changes_per_day=scored.changes / scored_days,
                lost_requests=scored.lost_requests,
                over_ours=_over_ours(records, policy=policy, seeds=seeds),
                over_clairvoyant=_over_clairvoyant(records, policy=policy, knob=knob, seeds=seeds),
            )
        )
    return Comparison(
        ours=next(each for each in lines if each.policy == FORESAIL),
        ours_by_seed=tuple(
            each.scored.attainment_ratio
            for each in sorted(records, key=lambda each: each.seed)
            if each.policy == FORESAIL
        ),
        lines=tuple(lines),
    )


def _seeds(records: Iterable[Record]) -> dict[str, Seeds]:
    """{policy: seeds with which every knob of it was replayed}."""
    by_knob: dict[str, dict[float | None, set[int]]] = defaultdict(lambda: defaultdict(set))
    for each in records:
        by_knob[each.policy][each.knob].add(each.seed)
    return {
        policy: frozenset.intersection(*map(frozenset, knobs.values()))
        for policy, knobs in by_knob.items()
    }


def _over_ours(records: Sequence[Record], *, policy: str, seeds: dict[str, Seeds]) -> Regret | None:
    common = seeds[policy] & seeds[FORESAIL]
    if not common:
        return None
    (ours,) = _curve(_means(records, policy=FORESAIL, seeds=common))
    return _over(_curve(_means(records, policy=policy, seeds=common)), ours=ours)


def _over_clairvoyant(
    records: Sequence[Record], *, policy: str, knob: float | None, seeds: dict[str, Seeds]
) -> Regret | None:
    common = seeds[policy] & seeds[CLAIRVOYANT]
    if not common:
        return None
    scored = _means(records, policy=policy, seeds=common)[knob][1]
    return regret(
        _curve(_means(records, policy=CLAIRVOYANT, seeds=common)),
        attainment_ratio=scored.attainment_ratio,
        gpu_hours=scored.gpu_hours,
    )


Means = dict[float | None, tuple[Figures, Figures]]
"""{knob: (tuning, scored)}"""


def _curve(means: Means) -> list[CurvePoint]:
    return [
        CurvePoint(knob=knob, attainment_ratio=scored.attainment_ratio, gpu_hours=scored.gpu_hours)
        for knob, (_, scored) in means.items()
    ]


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


def _means(records: Iterable[Record], *, policy: str, seeds: Seeds) -> Means:
    """Of one policy, over these seeds."""
    grouped: dict[float | None, list[Record]] = defaultdict(list)
    for each in records:
        if each.policy == policy and each.seed in seeds:
            grouped[each.knob].append(each)
    return {
        knob: (_mean([each.tuning for each in group]), _mean([each.scored for each in group]))
        for knob, group in grouped.items()
    }


def _mean(figures: Sequence[Figures]) -> Figures:
    return Figures(
        attainment_ratio=fmean(each.attainment_ratio for each in figures),
        gpu_hours=fmean(each.gpu_hours for each in figures),
        changes=fmean(each.changes for each in figures),
        lost_requests=fmean(each.lost_requests for each in figures),
    )


def _chosen(means: Means, *, target_ratio: float) -> float | None:
    """As `foresail backtest` tunes: the cheapest that holds the target on the first day, else the best."""
    tuning = {knob: first for knob, (first, _) in means.items()}
    good = [knob for knob, each in tuning.items() if each.attainment_ratio >= target_ratio]
    if good:
        return min(good, key=lambda knob: tuning[knob].gpu_hours)
    return min(tuning, key=lambda knob: (-tuning[knob].attainment_ratio, tuning[knob].gpu_hours))

"""docs/benchmarks/cold_start.md: what the first hours came to, in tables, and in plain words where a target is missed.

In: records and the cases of each table. Out: Markdown. Pure.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cold_start_cells import FORESAIL, PEERS, TARGET_RATIO, Case, Record, curve_birth_hour, tuned

MOST_RATIO = 2.0
INTRODUCTION = """A service is born: one replica serves, and an hour of recorded traffic begins. Foresail is told the objectives,
the slots of an engine and how many replicas there may be; neither what a replica sustains, nor how long a start takes, nor anything of the
past. The peers are told the truth: what their engines sustain under the objectives at the mean lengths of that very day, and
each has the knob that was best on it (the cheapest that kept {target:.0%} of the whole day, tuned at the smaller scale).
They begin with the same one replica. *Lost* are requests outside either objective, or not answered at all, those from before any
start could have ended included. The *best peer* is the one of {peers} that lost the fewest in that hour.
"""
REASONS = """
Most of it is where a start takes 15 s; of the four births that were looked at closely, between 40 % and nearly all was lost in the first two
minutes: a first estimate of what a replica sustains takes a minute of its work, and demand is known after the second look at 30 s. Until then only a queue of some
seconds, or a shorter one while objectives are missed, makes it order more: one replica at a time, or as many as the completions of busy
replicas tell. A peer that knows its engines acts at 15 s. With starts of two minutes that is a small part of what everybody loses.
The rest is lost in bursts later in the hour, most on `azure2023_code`, where the best peer keeps more replicas between them.

It says that it is learning: until 30 busy stretches of a minute were measured every decision carries what it takes from a guess
(`learning` in the HTTP API, and in the explanation on the page). Before the tenth of them nothing is taken away.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """One first hour: ours, and every tuned peer's."""

    case: Case
    hour: int
    ours: Record
    peers: tuple[Record, ...]

    @property
    def best(self) -> Record:
        return min(self.peers, key=lambda each: (each.lost_requests, each.gpu_hours))

    @property
    def ratio(self) -> float:
        """Requests lost over the best peer's, which may have lost none."""
        return self.ours.lost_requests / max(1, self.best.lost_requests)

    @property
    def is_missed(self) -> bool:
        return self.ratio > MOST_RATIO


def document(records: Sequence[Record], *, tables: Sequence[Sequence[Case]], command: str) -> str:
    """The whole page; cases without all of their replays are left out, and named."""
    found = [births_of(records, case=case) for cases in tables for case in cases]
    births = [each for some in found for each in some]
    absent = [case for case in (c for cases in tables for c in cases) if not births_of(records, case=case)]  # fmt: skip
    return "\n".join(
        [
            "# The first hour of a service of which nothing is known",
            "",
            INTRODUCTION.format(target=TARGET_RATIO, peers=", ".join(PEERS)),
            f"Made by `{command}`; one seed, starts vary by a quarter around their median.",
            "",
            *_summary(births),
            "",
            *_misses(births, absent=absent),
            "",
            *(
                line
                for cases in tables
                for line in _table([b for b in births if b.case in cases], records)
            ),
        ]
    )


def births_of(records: Sequence[Record], *, case: Case) -> list[Birth]:
    """The hours of a case of which Foresail and every tuned peer were replayed."""
    of_case = [each for each in records if each.case == case.name]
    knobs = {each: _knob(records, case=case, peer=each) for each in PEERS}
    hours = sorted({each.birth_hour for each in of_case if each.birth_hour is not None})
    found = []
    for hour in hours:
        at = [each for each in of_case if each.birth_hour == hour]
        ours = [each for each in at if each.policy == FORESAIL]
        peers = [each for each in at if each.policy in PEERS and each.knob == knobs[each.policy]]
        if ours and len(peers) == len(PEERS):
            found.append(Birth(case=case, hour=hour, ours=ours[-1], peers=tuple(peers)))
    return found


def _knob(records: Sequence[Record], *, case: Case, peer: str) -> float | None:
    """As tuned at the smallest scale of the same trace and start time; None before it was."""
    days = [
        each
        for each in records
        if each.birth_hour is None and each.policy == peer and _is_of(each.case, case=case)
    ]
    smallest = min((_need(each.case) for each in days), default=0.0)
    days = [each for each in days if _need(each.case) == smallest]
    return tuned(days) if days else None


def _is_of(name: str, *, case: Case) -> bool:
    trace, _, start = name.split("|")
    return trace == case.entry.name and float(start) == case.start_seconds


def _need(name: str) -> float:
    return float(name.split("|")[1])


def _summary(births: Sequence[Birth]) -> Iterator[str]:
    yield "| start | births | at most twice the best peer's losses | median ratio | worst | all losses | GPU-hours |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for start in sorted({each.case.start_seconds for each in births}):
        some = [each for each in births if each.case.start_seconds == start]
        yield f"| {start:g} s | {_sums(some)} |"
    if births:
        yield f"| all | {_sums(births)} |"


def _sums(births: Sequence[Birth]) -> str:
    ratios = sorted(each.ratio for each in births)
    lost = sum(each.ours.lost_requests for each in births)
    hours = sum(each.ours.gpu_hours for each in births)
    return " | ".join(
        [
            str(len(births)),
            str(sum(not each.is_missed for each in births)),
            f"{ratios[len(ratios) // 2]:.2f}x",
            f"{ratios[-1]:.2f}x",
            f"{lost / max(1, sum(each.best.lost_requests for each in births)):.2f}x",
            f"{hours / math.fsum(each.best.gpu_hours for each in births):.2f}x",
        ]
    )


def _misses(births: Sequence[Birth], *, absent: Sequence[Case]) -> Iterator[str]:
    yield "## What does not hold"
    yield ""
    missed = [each for each in births if each.is_missed]
    for each in missed:
        ours, offered = each.ours.lost_requests, each.ours.offered_requests
        yield (
            f"* {each.case.entry.name}, need {each.case.need_replicas:g}, start {each.case.start_seconds:g} s, born at "
            f"{each.hour}h: {ours:,} requests lost ({ours / offered:.1%} of the hour's), {each.ratio:.1f} times the "
            f"{each.best.lost_requests:,} of {each.best.policy}."
        )
    if not missed:
        yield "* No first hour above lost more than twice the best peer's."
    yield REASONS
    for name in dict.fromkeys(case.entry.name for case in absent):
        count = sum(case.entry.name == name for case in absent)
        yield f"* Not replayed yet: {count} cases (scale and start time) of {name}."


def _table(births: Sequence[Birth], records: Sequence[Record]) -> Iterator[str]:
    if not births:
        return
    entry = births[0].case.entry
    yield f"## {entry.name}"
    yield ""
    yield (
        f"On {entry.row}; first tokens within {entry.time_to_first_token_seconds:g} s, further ones every 200 ms. "
        "*Curves*: losses of each peer over all values of its knob, dearest to cheapest, for one birth of the day."
    )
    yield ""
    yield "| need | start | born | requests | lost | best peer | its losses | ratio | GPU-hours | its |"
    yield "|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|"
    for each in births:
        best = each.best
        ratio = f"**{each.ratio:.2f}x**" if each.is_missed else f"{each.ratio:.2f}x"
        yield (
            f"| {each.case.need_replicas:g} | {each.case.start_seconds:g} s | {each.hour}h | {each.ours.offered_requests:,} | "
            f"{each.ours.lost_requests:,} | {best.policy} {best.knob:g} | {best.lost_requests:,} | {ratio} | "
            f"{each.ours.gpu_hours:.1f} | {best.gpu_hours:.1f} |"
        )
    yield ""
    yield from _curves(births, records)
    yield ""


def _curves(births: Sequence[Birth], records: Sequence[Record]) -> Iterator[str]:
    for case in dict.fromkeys(each.case for each in births):
        hours = [each.hour for each in births if each.case == case]
        hour = curve_birth_hour(hours)
        lines = []
        for peer in PEERS:
            points = {
                each.knob or 0.0: each.lost_requests
                for each in records
                if (each.case, each.policy, each.birth_hour) == (case.name, peer, hour)
            }
            losses = " ".join(f"{points[knob]:,}" for knob in sorted(points))
            lines.append(f"{peer} {losses}")
        yield (
            f"* Need {case.need_replicas:g}, start {case.start_seconds:g} s, {hour}h: {'; '.join(lines)}."
        )

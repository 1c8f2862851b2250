"""The summary of a fleet demo as a table: one row per service and tier, sides beside each other. Pure."""

from collections.abc import Iterator

from foresail.demo.fleet.bodies import (
    FleetSummary,
    MoveBody,
    RunKind,
    ServiceSummary,
    SideSummary,
    TierBody,
)
from foresail.demo.fleet.progress import day_clock


def columns(summary: FleetSummary) -> tuple[str, ...]:
    """Their titles."""
    sides = (
        title
        for side in summary.sides
        for title in (f"{side.policy}: kept", "GPU-hours", "changes")
    )
    return ("service", "tier", "requests", "target", *sides)


def rows(summary: FleetSummary) -> list[tuple[str, ...]]:
    """Services, then tiers, then the sum."""
    first = summary.sides[0]
    return [
        *(_service_row(each, summary=summary) for each in first.services),
        *(_tier_row(each, summary=summary) for each in first.tiers),
        _sum_row(summary),
    ]


def heading(summary: FleetSummary) -> str:
    """What was run, in one line."""
    first = summary.start_of_day_seconds
    start = day_clock(0.0, start_seconds=first)
    end = day_clock(summary.replayed_seconds, start_seconds=first)
    gpus = f"{summary.gpus} GPUs"
    if summary.kind is RunKind.LIVE:
        gpus = f"{summary.gpus} emulated GPUs over HTTP"
    return (
        f"{len(summary.sides[0].services)} services on {gpus}, {start} to {end} of recorded "
        f"traffic, seed {summary.seed}: share of requests that kept both objectives"
    )


def move_line(move: MoveBody, *, start_seconds: float) -> str:
    """A change as one line of text, with the time of the recorded day."""
    at = start_seconds + move.at_seconds
    clock = f"{day_clock(0.0, start_seconds=at)}:{int(at) % 60:02d}"
    return f"{clock} {move.service} {move.from_replicas} to {move.to_replicas}: {move.reason}"


def _service_row(service: ServiceSummary, *, summary: FleetSummary) -> tuple[str, ...]:
    return (
        service.name,
        service.tier,
        str(service.offered_requests),
        _percent(service.target_ratio),
        *(
            cell
            for side in summary.sides
            for cell in _service_cells(side, name=service.name, summary=summary)
        ),
    )


def _service_cells(side: SideSummary, *, name: str, summary: FleetSummary) -> Iterator[str]:
    service = next(each for each in side.services if each.name == name)
    ratio = service.attainment_ratio
    asked = service.offered_requests > 0
    yield _kept(ratio, target_ratio=service.target_ratio) if asked else "no request"
    yield _hours(service.gpu_hours, summary=summary)
    yield str(service.changes)


def _tier_row(tier: TierBody, *, summary: FleetSummary) -> tuple[str, ...]:
    return (
        "all of the tier",
        tier.name,
        str(tier.offered_requests),
        _percent(tier.target_ratio),
        *(
            cell
            for side in summary.sides
            for cell in _tier_cells(side, name=tier.name, summary=summary)
        ),
    )


def _tier_cells(side: SideSummary, *, name: str, summary: FleetSummary) -> Iterator[str]:
    tier = next(each for each in side.tiers if each.name == name)
    members = [each for each in side.services if each.tier == name]
    ratio = tier.attainment_ratio
    yield "no request" if ratio is None else _kept(ratio, target_ratio=tier.target_ratio)
    yield _hours(sum(each.gpu_hours for each in members), summary=summary)
    yield str(sum(each.changes for each in members))


def _sum_row(summary: FleetSummary) -> tuple[str, ...]:
    offered = sum(each.offered_requests for each in summary.sides[0].services)
    sides = (
        cell
        for side in summary.sides
        for cell in ("", _hours(side.gpu_hours, summary=summary), str(side.changes))
    )
    return ("all", "", str(offered), "", *sides)


def _kept(ratio: float, *, target_ratio: float) -> str:
    return _percent(ratio) + ("" if ratio >= target_ratio else " missed")


def _percent(ratio: float) -> str:
    """Rounded down: what misses its target by little must not read as kept."""
    return f"{int(ratio * 1000 + 1e-9) / 10:.1f} %"


def _hours(hours: float, *, summary: FleetSummary) -> str:
    """Of minutes, more digits are needed to tell services apart."""
    return f"{hours:.2f}" if summary.kind is RunKind.LIVE else f"{hours:.1f}"

"""A live fleet as the bodies of the fleet demo: for the page while it runs, for table and file at its end. Pure.

In: what the controller said (`FleetWatch`) and what clients measured (`ClientTally`). Out: `FleetBody`,
`FleetSummary`, each with one side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.model.ids import ServiceName
from foresail.demo.fleet.bodies import (
    FleetBody,
    FleetSummary,
    RunKind,
    ServiceBody,
    ServiceSummary,
    SideBody,
    SideSummary,
    TierBody,
)
from foresail.demo.fleet.live.plan import SECTION_START_SECONDS
from foresail.demo.fleet.live.tally import ClientTally
from foresail.demo.fleet.live.watch import FleetWatch, now_body
from foresail.demo.fleet.report import tier_bodies
from foresail.demo.fleet.services import GPUS, START_OF_DAY_SECONDS

SIDE = "foresail"
START_SECONDS = START_OF_DAY_SECONDS + SECTION_START_SECONDS
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """One run and what is known of it."""

    services: Sequence[ServiceBody]
    tally: ClientTally
    watch: FleetWatch
    end_seconds: float  # of the traffic
    seed: int


def live_body(run: LiveRun, *, now_seconds: float, is_over: bool) -> FleetBody:
    """As it stands."""
    return FleetBody(
        kind=RunKind.LIVE,
        gpus=GPUS,
        now_seconds=now_seconds,
        end_seconds=max(run.end_seconds, now_seconds),
        start_of_day_seconds=START_SECONDS,
        speed_ratio=1.0,
        is_over=is_over,
        services=list(run.services),
        sides=[_side(run)],
    )


def live_summary(run: LiveRun) -> FleetSummary:
    """Once the last request has ended."""
    services = [_service_summary(each, run=run) for each in run.services]
    return FleetSummary(
        kind=RunKind.LIVE,
        gpus=GPUS,
        start_of_day_seconds=START_SECONDS,
        replayed_seconds=run.end_seconds,
        seed=run.seed,
        sides=[
            SideSummary(
                policy=SIDE,
                gpu_hours=sum(each.gpu_hours for each in services),
                changes=sum(each.changes for each in services),
                peak_gpus=run.watch.peak_gpus,
                services=services,
                tiers=_tiers(run),
            )
        ],
    )


def _side(run: LiveRun) -> SideBody:
    watch, fates = run.watch, run.tally.fates
    return SideBody(
        name=SIDE,
        gpus_in_use=watch.gpus_in_use,
        gpu_hours=sum(watch.gpu_seconds.values()) / _SECONDS_PER_HOUR,
        changes=sum(watch.changes.values()),
        tiers=_tiers(run),
        services=[
            now_body(name, now, attainment_ratio=fates[name].tally.attainment_ratio)
            for name, now in watch.now.items()
        ],
        timeline_seconds=list(watch.timeline_seconds),
        timeline_gpus={name: list(counts) for name, counts in watch.timeline_gpus.items()},
        moves=list(watch.moves),
    )


def _tiers(run: LiveRun) -> list[TierBody]:
    tallies = {ServiceName(name): fates.tally for name, fates in run.tally.fates.items()}
    return tier_bodies(run.services, tallies=tallies)


def _service_summary(service: ServiceBody, *, run: LiveRun) -> ServiceSummary:
    fates = run.tally.fates[service.name]
    return ServiceSummary(
        name=service.name,
        tier=service.tier,
        offered_requests=fates.offered,
        served_requests=fates.served,
        shed_requests=fates.shed,
        failed_requests=fates.failed,
        unfinished_requests=fates.unfinished,
        target_ratio=service.target_ratio,
        # As a replay has it: of a service that nobody asked, all was kept.
        attainment_ratio=fates.good / fates.offered if fates.offered else 1.0,
        gpu_hours=run.watch.gpu_seconds[service.name] / _SECONDS_PER_HOUR,
        changes=run.watch.changes[service.name],
    )

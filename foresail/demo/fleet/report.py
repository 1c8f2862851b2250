"""What is known of a race, as bodies: while it runs for the page, and at its end for table and file. Pure.

In: a `Race`. Out: `FleetBody`, `FleetSummary`. Reads the replays and changes nothing but their counters,
which look at each request once.
"""

from collections.abc import Iterable, Mapping

from autoscaler.replay.run import Outcome
from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.tally import Tally
from collector.model.ids import ServiceName
from foresail.demo.fleet.bodies import (
    FleetBody,
    FleetSummary,
    MoveBody,
    RunKind,
    ServiceBody,
    ServiceNowBody,
    ServiceSummary,
    SideBody,
    SideSummary,
    TierBody,
)
from foresail.demo.fleet.race import Race, Side
from foresail.demo.fleet.services import START_OF_DAY_SECONDS


def fleet_body(race: Race, *, speed_ratio: float) -> FleetBody:
    """The race as it stands."""
    return FleetBody(
        kind=RunKind.REPLAY,
        gpus=race.conditions.gpus,
        now_seconds=race.now_seconds,
        end_seconds=race.conditions.end_seconds,
        start_of_day_seconds=START_OF_DAY_SECONDS,
        speed_ratio=speed_ratio,
        is_over=race.is_over,
        services=[_service_body(each) for each in race.services],
        sides=[_side_body(each) for each in race.sides],
    )


def fleet_summary(race: Race) -> FleetSummary:
    """The race at its end."""
    return FleetSummary(
        kind=RunKind.REPLAY,
        gpus=race.conditions.gpus,
        start_of_day_seconds=START_OF_DAY_SECONDS,
        replayed_seconds=race.conditions.end_seconds,
        seed=race.conditions.seed,
        sides=[_side_summary(each) for each in race.sides],
    )


def _service_body(service: SharedService) -> ServiceBody:
    objectives = service.setting.objectives
    return ServiceBody(
        name=service.name,
        tier=service.tier.name,
        gpus_per_replica=service.setting.gpus_per_replica,
        time_to_first_token_seconds=objectives.time_to_first_token_seconds,
        output_token_seconds=objectives.output_token_seconds,
        target_ratio=objectives.target_ratio,
    )


def _side_body(side: Side) -> SideBody:
    replay, names = side.replay, tuple(side.replay.services)
    tallies = {name: replay.tally(name) for name in names}
    return SideBody(
        name=side.name,
        gpus_in_use=replay.fleet.gpus_in_use,
        gpu_hours=sum(replay.gpu_hours(name) for name in names),
        changes=replay.changes,
        tiers=tier_bodies(map(_service_body, replay.services.values()), tallies=tallies),
        services=[_service_now(side, name=name, tally=tallies[name]) for name in names],
        timeline_seconds=[each.at_seconds for each in side.samples],
        timeline_gpus={name: [each.gpus[name] for each in side.samples] for name in names},
        moves=[
            MoveBody(
                at_seconds=each.at_seconds,
                service=each.service,
                from_replicas=each.from_replicas,
                to_replicas=each.to_replicas,
                reason=each.reason,
                explanation=each.explanation,
            )
            for each in side.moves
        ],
    )


def _service_now(side: Side, *, name: ServiceName, tally: Tally) -> ServiceNowBody:
    fleet = side.replay.fleet.fleets[name]
    return ServiceNowBody(
        name=name,
        serving_replicas=len(fleet.ready_numbers),
        starting_replicas=fleet.ordered_replicas - len(fleet.ready_numbers),
        waiting_replicas=side.replay.fleet.waiting_replicas(name),
        draining_replicas=fleet.draining_replicas,
        held_requests=fleet.plant.held_requests,
        attainment_ratio=tally.attainment_ratio,
    )


def tier_bodies(
    services: Iterable[ServiceBody], *, tallies: Mapping[ServiceName, Tally]
) -> list[TierBody]:
    """Requests of a tier's services taken together; its services share one target."""
    tiers: dict[str, list[ServiceBody]] = {}
    for each in services:
        tiers.setdefault(each.tier, []).append(each)
    return [
        _tier_body(
            name,
            target_ratio=members[0].target_ratio,
            tally=_together(tallies[ServiceName(each.name)] for each in members),
        )
        for name, members in tiers.items()
    ]


def _tier_body(name: str, *, target_ratio: float, tally: Tally) -> TierBody:
    ratio = tally.attainment_ratio
    return TierBody(
        name=name,
        target_ratio=target_ratio,
        offered_requests=tally.offered_requests,
        attainment_ratio=ratio,
        is_met=None if ratio is None else ratio >= target_ratio,
    )


def _together(tallies: Iterable[Tally]) -> Tally:
    members = tuple(tallies)
    return Tally(
        offered_requests=sum(each.offered_requests for each in members),
        judged_requests=sum(each.judged_requests for each in members),
        good_requests=sum(each.good_requests for each in members),
    )


def _side_summary(side: Side) -> SideSummary:
    replay = side.replay
    services = [
        _service_summary(replay.services[name], outcome=each)
        for name, each in replay.outcomes().items()
    ]
    tallies = {name: replay.tally(name) for name in replay.services}
    return SideSummary(
        policy=side.name,
        gpu_hours=sum(each.gpu_hours for each in services),
        changes=sum(each.changes for each in services),
        peak_gpus=side.peak_gpus,
        services=services,
        tiers=tier_bodies(map(_service_body, replay.services.values()), tallies=tallies),
    )


def _service_summary(service: SharedService, *, outcome: Outcome) -> ServiceSummary:
    score = outcome.score()
    return ServiceSummary(
        name=service.name,
        tier=service.tier.name,
        offered_requests=score.offered_requests,
        served_requests=score.served_requests,
        shed_requests=score.shed_requests,
        failed_requests=score.failed_requests,
        unfinished_requests=score.unfinished_requests,
        target_ratio=service.setting.objectives.target_ratio,
        attainment_ratio=score.attainment_ratio,
        gpu_hours=score.gpu_hours,
        changes=score.changes,
    )

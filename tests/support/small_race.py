"""A race of two small services over ten minutes, for tests of the fleet demo's page and summary."""

from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.shared_replay import SharedConditions
from collector.model.catalogue import Tier
from collector.model.ids import ServiceName, TierName
from foresail.demo.fleet.race import Race
from support.replays import TABLED, make_setting, rising_and_falling

END_SECONDS = 600.0
PEER = "hpa_concurrency"


def small_race(*, seed: int = 0, gpus: int = 3) -> Race:
    """`chat` is critical and `docs` is batch; each begins with one replica."""
    setting = make_setting(costs=TABLED, max_replicas=3)
    services = [
        SharedService(
            name=ServiceName(name),
            tier=Tier(name=TierName(tier), violation_price_per_minute=price),
            workload=rising_and_falling(hours=1 / 6, seed=number, low=6.0, high=9.0),
            setting=setting,
        )
        for number, (name, tier, price) in enumerate(
            (("chat", "critical", 30.0), ("docs", "batch", 1.0))
        )
    ]
    return Race(
        services,
        peer=PEER,
        conditions=SharedConditions(gpus=gpus, end_seconds=END_SECONDS, seed=seed),
    )


def finished_race(*, seed: int = 0) -> Race:
    """At its end."""
    race = small_race(seed=seed)
    race.advance(END_SECONDS)
    return race

"""Which replicas of a mix are worth what."""

from autoscaler.plan.guard import Floor
from autoscaler.plan.intent import bids, intent
from autoscaler.plan.size import size
from collector.model.catalogue import Control
from support.builders import NOW, make_assessment, make_fleet, make_variant

CONTROL = Control()  # 0.9 of a lower bound of 1 when sizing up


def test_what_serves_is_worth_more_than_the_cheaper_one_that_still_starts() -> None:
    cheap = make_fleet(starting=1, variant=make_variant("cheap"))
    dear = make_fleet(serving=2, variant=make_variant("dear", cost_per_hour=3.0))
    assessment = make_assessment(fleets=(cheap, dear), demand=1.8)
    floor = Floor(counts=(1, 2), reason=None, is_blind=False)
    wanted = intent(
        assessment, need=size(assessment, control=CONTROL), floor=floor, control=CONTROL, now=NOW
    )
    worths = [(each.variant, each.value_per_hour) for each in bids(wanted, now=NOW)]
    assert worths == [("dear", 30.0), ("dear", 30.0), ("cheap", 0.0)]

"""While a replica's capacity was hardly or never seen, more demand still never means fewer replicas."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.plan.size import size
from collector.model.catalogue import Control
from support.builders import CAPACITY, make_assessment, make_fleet

rates = st.floats(0.0, 1e6)


@given(
    demand=rates,
    more=rates,
    completed=st.none() | rates,
    backlog=rates,
    low=st.floats(0.01, 10.0),
    serving=st.integers(0, 20),
    burn=st.none() | st.floats(0.0, 100.0),
    is_unknown=st.booleans(),
)
def test_more_demand_never_means_fewer_replicas_while_capacity_is_provisional(
    *,
    demand: float,
    more: float,
    completed: float | None,
    backlog: float,
    low: float,
    serving: int,
    burn: float | None,
    is_unknown: bool,
) -> None:
    capacity = replace(CAPACITY, low_ratio=low, high_ratio=max(low, 1.2), is_provisional=True)

    def needed(requests_per_second: float) -> int:
        assessment = make_assessment(
            demand=requests_per_second,
            fleets=(make_fleet(serving=serving, capacity=None if is_unknown else capacity),),
            backlog_requests=backlog,
            completed_requests_per_second=completed,
            burn_rate=burn,
        )
        return size(assessment, control=Control()).unbounded_replicas

    assert needed(demand + more) >= needed(demand)

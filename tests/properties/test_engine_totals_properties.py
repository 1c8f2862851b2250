"""Whatever replicas come, go, restart and fall silent: totals only grow, and arrivals add up."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.engine_totals import EngineTotals
from collector.model.histogram import Histogram, coarsened, merged
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.snapshot import EngineView, ServiceView
from support.builders import CHAT, make_replica_view

GONE = Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="engine:vllm")
NEVER = Missing(reason=MissingReason.CANNOT_SEE, source="engine:vllm")
COUNTS = st.tuples(*[st.integers(0, 30)] * 4)
ROUNDS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | COUNTS, max_size=3),
    min_size=1,
    max_size=8,
)
ENDED = (
    "completed_requests_total", "failed_requests_total", "aborted_requests_total",
)  # fmt: skip


def replica(name, counts, *, at):
    def told(value):
        return GONE if value is None else Fresh(
            value=value, observed_timestamp_seconds=at, source="engine:vllm"
        )  # fmt: skip

    stop, error, abort, running = (None,) * 4 if counts is None else map(float, counts)
    finished = None if stop is None else {"stop": stop, "error": error, "abort": abort}
    buckets = None if stop is None else Histogram(upper_bounds=(1.0,), counts=(stop, 0.0), sum=stop)
    return make_replica_view(
        name,
        at=at,
        running_requests=told(running),
        waiting_requests=told(None if running is None else 0.0),
        in_flight_requests=told(running),
        output_tokens_total=told(stop),
        prompt_tokens_total=told(stop),
        engine=EngineView(
            rejected_requests_by_reason=NEVER,
            failed_requests_total=NEVER,
            finished_requests_by_reason=told(finished),
            time_to_first_token=told(buckets),
        ),
    )


def views(rounds):
    """The service after each round."""
    before, last = {}, None
    for number, pages in enumerate(rounds):
        at = 100.0 + 5 * number
        replicas = [replica(name, counts, at=at) for name, counts in pages.items()]
        last = EngineTotals(
            service=CHAT, counted_timestamp_seconds=at, replicas=replicas, before=before, last=last
        ).view()
        before = {view.replica.replica_id: view for view in replicas}
        yield last


def value(view: ServiceView, name: str) -> float | None:
    reading = getattr(view.traffic, name)
    return reading.value if isinstance(reading, Fresh) else None


@settings(max_examples=200)
@given(rounds=ROUNDS)
def test_totals_never_fall_between_missing_ones(rounds):
    floor = dict.fromkeys((*ENDED, "arrived_requests_total"), 0.0)
    for view in views(rounds):
        for name in floor:
            reading = getattr(view.traffic, name)
            floor[name] = 0.0 if isinstance(reading, Missing) else max(floor[name], reading.value)
            assert isinstance(reading, Missing) or reading.value >= floor[name]


@settings(max_examples=200)
@given(rounds=ROUNDS)
def test_nothing_fresh_is_said_while_a_replica_is_silent_or_none_is_there(rounds):
    for pages, view in zip(rounds, views(rounds), strict=True):
        is_whole = bool(pages) and None not in pages.values()
        assert isinstance(view.traffic.arrived_requests_total, Fresh) is is_whole
        assert isinstance(view.latency.time_to_first_token, Fresh) is is_whole


@settings(max_examples=200)
@given(rounds=ROUNDS)
def test_arrivals_are_at_least_what_ended_and_what_is_in_flight(rounds):
    for view in views(rounds):
        parts = [value(view, name) for name in (*ENDED, "in_flight_requests")]
        arrived = value(view, "arrived_requests_total")
        if arrived is not None and None not in parts:
            assert arrived >= sum(part for part in parts if part is not None)


EDGES = st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0]), unique=True).map(sorted)


@given(parts=st.lists(st.tuples(EDGES, st.lists(st.integers(0, 9), min_size=5, max_size=5)),
                      min_size=1, max_size=4))  # fmt: skip
def test_merging_keeps_every_observation_and_every_common_edge(parts):
    histograms = [
        Histogram(
            upper_bounds=tuple(edges), counts=tuple(map(float, counts[: len(edges) + 1])), sum=1.0
        )
        for edges, counts in parts
    ]
    whole = merged(histograms)
    assert whole.total == sum(each.total for each in histograms)
    assert set(whole.upper_bounds) == set.intersection(*(set(edges) for edges, _ in parts))
    assert all(coarsened(each, upper_bounds=each.upper_bounds) == each for each in histograms)

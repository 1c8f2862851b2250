"""A service without a gateway: its engines' totals together, arrivals by conservation."""

from dataclasses import replace

import pytest

from collector.engine_totals import counted_timestamp_seconds
from collector.increments import increments
from collector.model.catalogue import Sli
from collector.model.contract import SleepState
from collector.model.history import Signal
from collector.model.reading import Fresh, Missing, MissingReason, Stale
from collector.model.replica import EngineKind, ReplicaState
from support.collector_worlds import (
    CHAT,
    LLAMA,
    answered,
    capture,
    failed,
    make_catalogue,
    make_replica,
    make_service,
    objective,
    snapshot_of,
)

CATALOGUE = make_catalogue(
    make_service(engine=EngineKind.VLLM, objectives=[objective(Sli.TIME_TO_FIRST_TOKEN, 1.0)])
)
EDGES = ("0.5", "1.0")


def page(*, stop=0, abort=0, error=0, running=0, waiting=0, prompt=0, output=0, rejected=None,
         ttft=(0, 0, 0), edges=EDGES):  # fmt: skip
    """A page of vLLM with one engine; `ttft` per bucket."""
    finished = {"stop": stop, "length": 0, "abort": abort, "error": error}
    below = [sum(ttft[: n + 1]) for n in range(len(ttft))]
    name = "vllm:time_to_first_token_seconds"
    lines = [
        f'vllm:num_requests_running{{engine="0"}} {running}',
        f'vllm:num_requests_waiting{{engine="0"}} {waiting}',
        f'vllm:prompt_tokens_total{{engine="0"}} {prompt}',
        f'vllm:generation_tokens_total{{engine="0"}} {output}',
        *(
            f'vllm:request_success_total{{engine="0",finished_reason="{reason}"}} {count}'
            for reason, count in finished.items()
        ),
        *(
            f'{name}_bucket{{engine="0",le="{edge}"}} {count}'
            for edge, count in zip((*edges, "+Inf"), below, strict=True)
        ),
        f'{name}_sum{{engine="0"}} 1',
    ]
    if rejected is not None:
        lines.append(f'vllm:admission_rejections_total{{engine="0",reason="full"}} {rejected}')
    return "\n".join(lines) + "\n"


class Fleet:
    """Rounds of looking, five seconds apart."""

    def __init__(self):
        self.at = 100.0
        self.snapshot = None
        self.before = None

    def look(self, pages, *, states=None, catalogue=CATALOGUE, scraped_at=None):
        """One round; a page that is None is a replica that does not answer.

        `scraped_at` is when a Prometheus has read the pages, of those that were not read right now.
        """
        self.at += 5
        scraped_at = scraped_at or {}
        states = states or {}
        self.before, self.snapshot = (
            self.snapshot,
            snapshot_of(
                *(
                    failed(key, at=self.at)
                    if text is None
                    else answered(key, text, at=scraped_at.get(key, self.at))
                    for key, text in pages.items()
                ),
                at=self.at,
                catalogue=catalogue,
                replicas=tuple(
                    make_replica(key, state=states.get(key, ReplicaState.SERVING)) for key in pages
                ),
                previous=self.snapshot,
            ),
        )
        return self.snapshot.service(CHAT)

    def increments(self):
        return increments(self.before, self.snapshot, catalogue=CATALOGUE)


def shown(reading):
    return reading.reason if isinstance(reading, Missing) else reading.value


def traffic(view):
    return {name.split("_")[0]: shown(getattr(view.traffic, name)) for name in (
        "arrived_requests_total", "completed_requests_total", "failed_requests_total",
        "aborted_requests_total", "in_flight_requests", "output_tokens_total",
    )}  # fmt: skip


def test_what_engines_had_done_before_the_first_look_is_not_demand():
    view = Fleet().look({"r1": page(stop=1_000, output=9_000, running=3, waiting=2)})
    assert traffic(view) == {
        "arrived": 5, "completed": 0, "failed": 0, "aborted": 0, "in": 5, "output": 0,
    }  # fmt: skip
    assert shown(view.traffic.held_requests) == 0
    assert view.traffic.arrived_requests_total == Fresh(
        value=5.0, observed_timestamp_seconds=105.0, source="engines"
    )


def test_arrivals_are_what_ended_and_what_is_in_flight():
    fleet = Fleet()
    fleet.look({"r1": page(stop=10, running=4), "r2": page(stop=7)})
    view = fleet.look(
        {"r1": page(stop=12, abort=1, running=4, waiting=20), "r2": page(stop=7, error=2)}
    )
    # A queue of 20 is demand, though only 5 have ended.
    assert traffic(view) == {
        "arrived": 29, "completed": 2, "failed": 2, "aborted": 1, "in": 24, "output": 0,
    }  # fmt: skip
    assert fleet.increments().increases[Signal.ARRIVED_REQUESTS, CHAT] == 25


def test_queued_prompts_are_admitted_at_the_mean_length():
    fleet = Fleet()
    fleet.look({"r1": page(stop=10, prompt=1000)})
    view = fleet.look({"r1": page(stop=10, running=10, waiting=5, prompt=2000)})
    assert shown(view.traffic.admitted_prompt_tokens_total) == 1000 + 5 * 100


def test_a_restart_counts_from_zero_and_what_was_in_flight_failed():
    fleet = Fleet()
    fleet.look({"r1": page(stop=100, running=6, output=900)})
    view = fleet.look({"r1": page(stop=3, running=1, output=20)})
    assert traffic(view) == {
        "arrived": 10, "completed": 3, "failed": 6, "aborted": 0, "in": 1, "output": 20,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        pytest.param(ReplicaState.SERVING, "failed", id="it-died"),
        pytest.param(ReplicaState.DRAINING, "completed", id="it-was-drained"),
    ],
)
def test_totals_do_not_fall_when_a_replica_goes(state, outcome):
    fleet = Fleet()
    fleet.look({"r1": page(stop=5), "r2": page(stop=100, running=2)}, states={"r2": state})
    fleet.look({"r1": page(stop=6), "r2": page(stop=104, running=2)}, states={"r2": state})
    view = fleet.look({"r1": page(stop=6)})
    told = traffic(view)
    assert told["arrived"] == 7
    assert told["arrived"] == told["completed"] + told["failed"] + told["in"]
    assert told[outcome] == {"failed": 2, "completed": 7}[outcome]


def test_a_replica_that_comes_later_brings_no_past():
    fleet = Fleet()
    fleet.look({"r1": page(stop=5)})
    view = fleet.look({"r1": page(stop=6), "r2": page(stop=5_000)})
    assert traffic(view)["completed"] == 1


def test_one_silent_engine_makes_the_service_stale_and_nothing_is_lost():
    fleet = Fleet()
    fleet.look({"r1": page(stop=5), "r2": page(stop=5)})
    view = fleet.look({"r1": page(stop=9), "r2": None})
    assert isinstance(view.traffic.completed_requests_total, Stale)
    assert isinstance(view.traffic.arrived_requests_total, Stale)
    assert fleet.increments().increases == {}
    view = fleet.look({"r1": page(stop=9), "r2": page(stop=8)})
    assert view.traffic.completed_requests_total == Fresh(
        value=7.0, observed_timestamp_seconds=115.0, source="engines"
    )


def test_a_value_that_is_no_number_once_loses_nothing():
    fleet = Fleet()
    fleet.look({"r1": page(stop=5)})
    view = fleet.look({"r1": page(stop="NaN")})
    assert isinstance(view.traffic.completed_requests_total, Stale)
    view = fleet.look({"r1": page(stop=9)})
    assert traffic(view)["completed"] == 4


def test_between_two_scrapes_the_totals_stand_for_the_last_whole_round():
    fleet = Fleet()
    both = {"r1": page(stop=5), "r2": page(stop=5)}
    view = fleet.look(both, scraped_at={"r1": 93, "r2": 104})  # looked at 105
    assert view.traffic.arrived_requests_total.observed_timestamp_seconds == 104
    view = fleet.look(both | {"r1": page(stop=9)}, scraped_at={"r1": 108, "r2": 104})
    assert view.traffic.completed_requests_total == Fresh(
        value=4.0, observed_timestamp_seconds=104, source="engines"
    )
    assert fleet.increments().increases == {}
    view = fleet.look({"r1": page(stop=9), "r2": page(stop=8)}, scraped_at={"r1": 108, "r2": 114.5})
    assert view.traffic.completed_requests_total == Fresh(
        value=7.0, observed_timestamp_seconds=114.5, source="engines"
    )


@pytest.mark.parametrize(
    ("pages", "before", "moment"),
    [
        pytest.param([], 50.0, 50.0, id="no-page"),
        pytest.param([60.0, 70.0], None, 70.0, id="first-look"),
        pytest.param([60.0, 70.0], 50.0, 70.0, id="all-newer"),
        pytest.param([60.0, 50.0], 50.0, 50.0, id="one-as-old"),
        pytest.param([40.0, 45.0], 50.0, 50.0, id="the-newest-replica-went"),
        pytest.param([20.0, 25.0], 50.0, 25.0, id="the-clock-was-set-back"),
    ],
)
def test_a_round_stands_for_its_newest_page_once_all_are_new(pages, before, moment):
    fleet = Fleet()
    if before is not None:
        fleet.look({"r1": page()}, scraped_at={"r1": before})
    last = [fleet.snapshot.service(CHAT)] if fleet.snapshot else []
    if last:  # Fleet looks at 105: a page of 50 is stale there
        (view,) = last
        total = Fresh(value=0.0, observed_timestamp_seconds=before, source="engines")
        last = [replace(view, traffic=replace(view.traffic, output_tokens_total=total))]
    assert counted_timestamp_seconds(pages, last=last, limit_seconds=20.0) == moment


@pytest.mark.parametrize("state", [ReplicaState.LOADING, ReplicaState.ASLEEP, ReplicaState.FAILED])
def test_without_a_replica_that_answers_nothing_is_claimed(state):
    view = Fleet().look({"r1": page()}, states={"r1": state})
    readings = [getattr(view.traffic, name) for name in view.traffic.__slots__]
    assert all(isinstance(each, Missing) for each in readings)


def test_the_last_replica_that_went_leaves_stale_numbers():
    fleet = Fleet()
    fleet.look({"r1": page(stop=5)})
    view = fleet.look({})
    assert isinstance(view.traffic.arrived_requests_total, Stale)
    assert isinstance(view.latency.time_to_first_token, Stale)


def test_a_sleeping_engine_hides_demand():
    text = page() + 'vllm:engine_sleep_state{engine="0",sleep_state="weights_offloaded"} 1\n'
    fleet = Fleet()
    view = fleet.look({"r1": text})
    assert shown(fleet.snapshot.replicas[0].engine.sleep_state) is SleepState.ASLEEP_LEVEL_1
    assert shown(view.traffic.arrived_requests_total) is MissingReason.ASLEEP
    assert shown(view.traffic.in_flight_requests) is MissingReason.ASLEEP


def test_an_engine_that_never_tells_leaves_a_reason():
    catalogue = make_catalogue(make_service(engine=EngineKind.LLAMA_CPP))
    text = capture(LLAMA, "metrics_load_c8")
    view = Fleet().look({"r1": text}, catalogue=catalogue)
    told = {name: shown(getattr(view.traffic, name)) for name in view.traffic.__slots__}
    assert (told["in_flight_requests"], told["output_tokens_total"]) == (8, 0)
    for name in (
        "completed_requests_total",
        "arrived_requests_total",
        "admitted_prompt_tokens_total",
    ):
        assert told[name] is MissingReason.CANNOT_SEE


def test_latency_is_what_the_engines_saw_since_the_first_look():
    fleet = Fleet()
    first = fleet.look({"r1": page(ttft=(90, 9, 1)), "r2": page(ttft=(1, 1, 1))})
    assert shown(first.latency.time_to_first_token).counts == (0, 0, 0)
    view = fleet.look({"r1": page(ttft=(94, 10, 1)), "r2": page(ttft=(3, 1, 2))})
    assert shown(view.latency.time_to_first_token).counts == (6, 1, 1)
    found = fleet.increments().increases
    assert found[Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS, CHAT] == 7
    assert found[Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS, CHAT] == 8


def test_what_engines_refuse_is_judged_where_they_tell_it():
    fleet = Fleet()
    fleet.look({"r1": page(rejected=10)})
    view = fleet.look({"r1": page(rejected=13, error=1, ttft=(2, 0, 0))})
    assert shown(view.traffic.shed_requests_total) == 3
    assert fleet.increments().increases[Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS, CHAT] == 6


def test_disagreeing_edges_are_merged_on_those_in_common_and_told():
    fleet = Fleet()
    odd = ("0.25", "1.0")
    fleet.look({"r1": page(), "r2": page(edges=odd)})
    view = fleet.look({"r1": page(ttft=(1, 2, 4)), "r2": page(ttft=(10, 20, 40), edges=odd)})
    histogram = shown(view.latency.time_to_first_token)
    assert (histogram.upper_bounds, histogram.counts) == ((1.0,), (33.0, 44.0))
    assert [each.message for each in fleet.snapshot.problems] == [
        "its engines disagree in the bucket edges of time_to_first_token; counted on the 1 they have "
        "in common"
    ]
    assert fleet.increments().increases[Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS, CHAT] == 33


def test_edges_that_come_and_go_never_count_twice():
    fleet = Fleet()
    odd = page(edges=("0.25", "1.0"))
    fleet.look({"r1": page(ttft=(100, 0, 0))})
    fleet.look({"r1": page(ttft=(110, 0, 0))})
    fleet.look({"r1": page(ttft=(111, 0, 0)), "r2": odd})
    judged = (Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS, CHAT)
    assert fleet.increments().increases[judged] == 1
    fleet.look({"r1": page(ttft=(113, 0, 0))})
    assert fleet.increments().increases[judged] == 2
    fleet.look({"r1": page(ttft=(116, 0, 0))})
    assert fleet.increments().increases[judged] == 3

import csv
import gzip
import io
from dataclasses import replace
from functools import cache
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.demo.trace import (
    DEFAULT_DURATION_SECONDS,
    SERVICES,
    LengthScaling,
    PlannedRequest,
    ReplayPlan,
    ServiceReplay,
    TokenCost,
    TracedRequest,
    default_plan,
    parse_cut,
    peak_work_ratio,
    read_cut,
    scale_cut,
)

MILLISECOND_TOKENS = TokenCost(prompt_seconds_per_token=0.001, output_seconds_per_token=0.001)
UNCHANGED = LengthScaling(
    prompt_ratio=1.0,
    output_ratio=1.0,
    largest_prompt_tokens=1_000_000,
    largest_output_tokens=1_000_000,
)


def service_replay(service: str = "code", **changes: object) -> ServiceReplay:
    whole = ServiceReplay(
        service=service, cost=MILLISECOND_TOKENS, lengths=UNCHANGED, peak_work_ratio=1e9
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # only the fields a test names


def plan(*services: ServiceReplay, **changes: object) -> ReplayPlan:
    whole = ReplayPlan(
        services=services or (service_replay(),),
        duration_seconds=100.0,
        speed_ratio=1.0,
        section_start_seconds=0.0,
        window_seconds=5.0,
        seed=0,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # only the fields a test names


def traced(
    arrival_seconds: float, *, prompt: int = 100, output: int = 10, service: str = "code"
) -> TracedRequest:
    return TracedRequest(
        service=service, arrival_seconds=arrival_seconds, prompt_tokens=prompt, output_tokens=output
    )


def sent(at_seconds: float, *, prompt: int = 100, output: int = 0) -> PlannedRequest:
    return PlannedRequest(
        service="code",
        index=0,
        at_seconds=at_seconds,
        prompt_tokens=prompt,
        output_tokens=output,
    )


recordings = st.lists(
    st.builds(
        traced,
        st.floats(min_value=0, max_value=200),
        prompt=st.integers(0, 5000),
        output=st.integers(0, 500),
        service=st.sampled_from(["code", "chat", "other"]),
    ),
    max_size=60,
)
plans = st.builds(
    lambda code_peak, chat_peak, duration, speed, start, seed: plan(
        service_replay("code", peak_work_ratio=code_peak),
        service_replay("chat", peak_work_ratio=chat_peak),
        duration_seconds=duration,
        speed_ratio=speed,
        section_start_seconds=start,
        seed=seed,
    ),
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=0, max_value=100),
    st.floats(min_value=0.5, max_value=50),
    st.floats(min_value=0, max_value=100),
    st.integers(0, 5),
)


@given(recordings, plans)
def test_no_window_of_a_service_holds_more_than_its_peak(
    recorded: list[TracedRequest], replayed: ReplayPlan
) -> None:
    planned = scale_cut(recorded, plan=replayed)
    for service in replayed.services:
        own = [request for request in planned if request.service == service.service]
        peak = peak_work_ratio(own, cost=service.cost, window_seconds=5.0)
        assert peak <= service.peak_work_ratio


@given(recordings, plans)
def test_everything_is_sent_in_order_and_within_the_replay(
    recorded: list[TracedRequest], replayed: ReplayPlan
) -> None:
    planned = scale_cut(recorded, plan=replayed)
    times = [request.at_seconds for request in planned]
    assert times == sorted(times)
    # A product of the speed may round to the end itself.
    assert all(0 <= at <= replayed.duration_seconds for at in times)
    for service in ("code", "chat"):
        indexes = [request.index for request in planned if request.service == service]
        assert indexes == sorted(set(indexes))


@given(recordings, plans)
def test_the_same_plan_gives_the_same_requests(
    recorded: list[TracedRequest], replayed: ReplayPlan
) -> None:
    again = scale_cut(list(recorded), plan=replayed)
    assert scale_cut(recorded, plan=replayed) == again


@given(recordings)
def test_all_requests_of_the_services_are_kept_where_the_peak_allows(
    recorded: list[TracedRequest],
) -> None:
    planned = scale_cut(recorded, plan=plan(duration_seconds=1000.0))
    assert len(planned) == sum(request.service == "code" for request in recorded)


@given(recordings, plans)
def test_a_higher_peak_never_sends_fewer(
    recorded: list[TracedRequest], replayed: ReplayPlan
) -> None:
    (code, _) = replayed.services
    # Lengths are left alone, which a low peak would also shorten.
    small = [replace(request, prompt_tokens=10, output_tokens=1) for request in recorded]
    lower = replace(replayed, services=(replace(code, peak_work_ratio=0.1),))
    higher = replace(replayed, services=(replace(code, peak_work_ratio=0.2),))
    assert len(scale_cut(small, plan=lower)) <= len(scale_cut(small, plan=higher))


def test_an_empty_recording_gives_an_empty_replay() -> None:
    assert scale_cut([], plan=plan()) == ()


def test_a_replay_of_no_duration_is_empty() -> None:
    assert scale_cut([traced(0.0), traced(1.0)], plan=plan(duration_seconds=0.0)) == ()


def test_time_is_compressed_from_the_start_of_the_section() -> None:
    recorded = [traced(at) for at in (9.0, 10.0, 30.0, 109.0, 110.0)]
    planned = scale_cut(
        recorded, plan=plan(section_start_seconds=10.0, speed_ratio=10.0, duration_seconds=10.0)
    )
    assert [request.at_seconds for request in planned] == [0.0, 2.0, 9.9]


def test_lengths_are_scaled_and_bounded() -> None:
    lengths = LengthScaling(
        prompt_ratio=0.1, output_ratio=0.5, largest_prompt_tokens=50, largest_output_tokens=20
    )
    recorded = [traced(0, prompt=300, output=30), traced(1, prompt=9000, output=900), traced(2)]
    recorded.append(traced(3, prompt=1, output=0))
    planned = scale_cut(recorded, plan=plan(service_replay(lengths=lengths)))
    assert [(r.prompt_tokens, r.output_tokens) for r in planned] == [
        (30, 15),
        (50, 20),
        (10, 5),
        (1, 1),  # a request always asks something and is answered something
    ]


def test_a_request_that_would_fill_the_window_is_shortened() -> None:
    # Half of 5 s at a peak of 0.2 is half a second of work: 500 tokens.
    planned = scale_cut(
        [traced(0, prompt=1500, output=500)], plan=plan(service_replay(peak_work_ratio=0.2))
    )
    assert [(r.prompt_tokens, r.output_tokens) for r in planned] == [(375, 125)]


def test_thinning_keeps_the_shape_of_the_arrivals() -> None:
    busy = [traced(10 + index / 100) for index in range(2000)]  # 20 s at 100/s
    quiet = [traced(30 + index / 10) for index in range(200)]  # 20 s at 10/s
    thinned = scale_cut([*busy, *quiet], plan=plan(service_replay(peak_work_ratio=1.1)))
    in_busy = [request for request in thinned if request.at_seconds < 30]
    # 1.1 engines at 0.11 s a request are 10 a second in the busiest window, one in ten of them.
    assert 185 <= len(in_busy) <= 200
    assert 18 <= len(thinned) - len(in_busy) <= 21


def test_another_seed_keeps_other_requests() -> None:
    recorded = [traced(index / 10) for index in range(500)]
    first, second = (
        {
            request.index
            for request in scale_cut(
                recorded, plan=plan(service_replay(peak_work_ratio=0.2), seed=seed)
            )
        }
        for seed in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param([], 0.0, id="nothing"),
        pytest.param([sent(0.0)], 0.02, id="one"),
        pytest.param([sent(0.0), sent(4.9)], 0.04, id="both-in-a-window"),
        pytest.param([sent(0.0), sent(5.0)], 0.02, id="a-window-apart"),
        pytest.param([sent(3.0), sent(4.0), sent(6.0), sent(9.0)], 0.06, id="across-a-multiple"),
        pytest.param([sent(0.0, prompt=50, output=150)], 0.04, id="both-lengths-count"),
    ],
)
def test_peak_work_counts_any_window(requests: list[PlannedRequest], expected: float) -> None:
    found = peak_work_ratio(requests, cost=MILLISECOND_TOKENS, window_seconds=5.0)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        pytest.param(lambda: plan(speed_ratio=0.0), "speed_ratio is 0.0", id="speed"),
        pytest.param(lambda: plan(window_seconds=0.0), "window_seconds is 0.0", id="window"),
        pytest.param(lambda: plan(duration_seconds=-1.0), "duration_seconds is -1.0", id="past"),
        pytest.param(
            lambda: replace(MILLISECOND_TOKENS, output_seconds_per_token=0.0),
            "output_seconds_per_token is 0.0",
            id="free-tokens",
        ),
        pytest.param(lambda: replace(UNCHANGED, prompt_ratio=0.0), "prompt_ratio is 0", id="ratio"),
        pytest.param(lambda: default_plan({}, duration_seconds=0), "duration_seconds", id="none"),
        pytest.param(
            lambda: default_plan({"video": MILLISECOND_TOKENS}), "no service", id="unknown"
        ),
    ],
)
def test_a_plan_that_means_nothing_is_refused(make: object, named: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=named):
        make()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("service,arrival_seconds\ncode,1\n", id="columns"),
        pytest.param("service,arrival_seconds,prompt_tokens,output_tokens\ncode,1,2\n", id="row"),
        pytest.param("service,arrival_seconds,prompt_tokens,output_tokens\nc,x,2,3\n", id="number"),
    ],
)
def test_a_damaged_recording_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"columns|not enough|could not convert"):
        parse_cut(text)


class TestTheShippedRecording:
    def test_it_holds_three_services_in_order(self) -> None:
        cut = read_cut()
        counts = {name: sum(request.service == name for request in cut) for name in SERVICES}
        assert counts == {"code": 8819, "chat": 12031, "batch": 350}
        arrivals = [request.arrival_seconds for request in cut]
        assert arrivals == sorted(arrivals)
        assert arrivals[0] >= 0
        assert arrivals[-1] < 3600
        assert min(request.output_tokens for request in cut) >= 1

    def test_it_is_small(self) -> None:
        file = resources.files("foresail.demo").joinpath("data/recorded_hour.csv.gz")
        assert len(file.read_bytes()) < 300_000

    def test_its_folder_says_where_it_comes_from(self) -> None:
        text = resources.files("foresail.demo").joinpath("data/README.md").read_text("utf-8")
        file = resources.files("foresail.demo").joinpath("data/recorded_hour.csv.gz")
        rows = csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode()))
        for name in {row["service"] for row in rows}:
            assert f"`{name}`" in text
        assert "CC-BY-4.0" in text
        assert "Apache-2.0" in text


COSTS = {
    "code": TokenCost(prompt_seconds_per_token=1 / 1750, output_seconds_per_token=1 / 280),
    "chat": TokenCost(prompt_seconds_per_token=1 / 2350, output_seconds_per_token=1 / 350),
    "batch": TokenCost(prompt_seconds_per_token=1 / 2600, output_seconds_per_token=1 / 410),
}


@cache
def default_replay() -> tuple[PlannedRequest, ...]:
    return scale_cut(read_cut(), plan=default_plan(COSTS))


class TestTheDefaultReplay:
    def work(self, service: str, *, after: float, until: float) -> float:
        """Mean engine-seconds per second in that stretch."""
        seconds = sum(
            COSTS[service].work_seconds(
                prompt_tokens=request.prompt_tokens, output_tokens=request.output_tokens
            )
            for request in default_replay()
            if request.service == service and after <= request.at_seconds < until
        )
        return seconds / (until - after)

    def test_code_is_busy_and_then_quiet(self) -> None:
        assert DEFAULT_DURATION_SECONDS == 171
        assert self.work("code", after=10, until=130) > 0.3
        assert self.work("code", after=130, until=171) < 0.2

    def test_batch_is_switched_on_when_code_calms_down(self) -> None:
        assert self.work("batch", after=0, until=114) == 0
        assert self.work("batch", after=114, until=171) > 0.15

    def test_chat_is_steady(self) -> None:
        assert 0.08 < self.work("chat", after=0, until=85) < 0.2
        assert 0.08 < self.work("chat", after=85, until=171) < 0.2

    def test_a_longer_replay_is_the_same_hour_more_slowly(self) -> None:
        slow = default_plan({"code": MILLISECOND_TOKENS}, duration_seconds=342.0, load_ratio=2.0)
        assert slow.speed_ratio == 10.0
        assert slow.services[0].peak_work_ratio == 2.2

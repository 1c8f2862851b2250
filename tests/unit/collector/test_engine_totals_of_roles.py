"""A service of prefill and decode engines without a gateway: each request counts once, from whom knows it."""

from dataclasses import replace

import pytest

from collector.model.catalogue import Sli
from collector.model.reading import Missing, Stale
from collector.model.replica import EngineKind, ReplicaState
from collector.model.roles import EngineRole
from support.collector_worlds import (
    CHAT,
    answered,
    failed,
    make_catalogue,
    make_replica,
    make_service,
    objective,
    snapshot_of,
)
from support.units import make_role

ROLES = {"p": EngineRole.PREFILL, "d1": EngineRole.DECODE, "d2": EngineRole.DECODE}


def catalogue_of(engine):
    service = make_service(engine=engine, objectives=[objective(Sli.TIME_TO_FIRST_TOKEN, 1.0)])
    roles = (make_role(EngineRole.PREFILL), make_role(EngineRole.DECODE, ratio=2))
    return make_catalogue(replace(service, variants=(replace(service.variants[0], roles=roles),)))


def vllm_page(
    *, stop=0, length=0, abort=0, error=0, running=0, waiting=0, prompt=0, output=0, ttft=(0, 0)
):
    finished = {"stop": stop, "length": length, "abort": abort, "error": error}
    ttft_name = "vllm:time_to_first_token_seconds"
    lines = [
        f'vllm:num_requests_running{{engine="0"}} {running}',
        f'vllm:num_requests_waiting{{engine="0"}} {waiting}',
        f'vllm:prompt_tokens_total{{engine="0"}} {prompt}',
        f'vllm:generation_tokens_total{{engine="0"}} {output}',
        *(
            f'vllm:request_success_total{{engine="0",finished_reason="{reason}"}} {count}'
            for reason, count in finished.items()
        ),
        f'{ttft_name}_bucket{{engine="0",le="1.0"}} {ttft[0]}',
        f'{ttft_name}_bucket{{engine="0",le="+Inf"}} {sum(ttft)}',
        f'{ttft_name}_sum{{engine="0"}} 1',
    ]
    return "\n".join(lines) + "\n"


class Rounds:
    """Rounds of looking, five seconds apart."""

    def __init__(self, engine=EngineKind.VLLM):
        self.at, self.snapshot, self.catalogue = 100.0, None, catalogue_of(engine)

    def look(self, **pages):
        """One round; a page that is None is an engine that does not answer."""
        self.at += 5
        self.snapshot = snapshot_of(
            *(
                failed(key, at=self.at) if text is None else answered(key, text, at=self.at)
                for key, text in pages.items()
            ),
            at=self.at,
            catalogue=self.catalogue,
            replicas=tuple(
                replace(make_replica(key, state=ReplicaState.SERVING), role=ROLES[key])
                for key in pages
            ),
            previous=self.snapshot,
        )
        return self.snapshot.service(CHAT)


def counts(view):
    return {
        name.split("_")[0]: None if isinstance(reading, Missing) else reading.value
        for name in (
            "arrived_requests_total", "completed_requests_total", "failed_requests_total",
            "aborted_requests_total", "in_flight_requests", "output_tokens_total",
            "admitted_prompt_tokens_total",
        )
        for reading in [getattr(view.traffic, name)]
    }  # fmt: skip


def started():
    rounds = Rounds()
    rounds.look(p=vllm_page(), d1=vllm_page(), d2=vllm_page())
    return rounds


def test_ten_requests_that_were_prefilled_and_answered_arrived_once():
    # Prefill was asked for one token of each: it counts ten answers of ten tokens, too.
    view = started().look(
        p=vllm_page(length=10, prompt=1000, output=10),
        d1=vllm_page(stop=6, prompt=600, output=540),
        d2=vllm_page(stop=4, prompt=400, output=360),
    )
    assert counts(view) == {
        "arrived": 10, "completed": 10, "failed": 0, "aborted": 0, "in": 0, "output": 900,
        "admitted": 1000,
    }  # fmt: skip


def test_what_waits_before_prefill_is_demand_though_decode_has_not_heard_of_it():
    view = started().look(
        p=vllm_page(length=5, prompt=500, running=2, waiting=20),
        d1=vllm_page(stop=1, output=90, running=2),
        d2=vllm_page(running=2),
    )
    found = counts(view)
    assert (found["arrived"], found["in"]) == (27, 26)  # 1 answered; 22 at prefill, 4 at decode
    # 500 tokens of the seven that were begun, and 20 more of the same mean length.
    assert found["admitted"] == pytest.approx(500 + 20 * 500 / 7)


@pytest.mark.parametrize(
    ("prefill", "decode", "failed", "aborted"),
    [
        pytest.param({"error": 2}, {}, 2, 0, id="failed-at-prefill"),
        pytest.param({}, {"error": 3}, 3, 0, id="failed-at-decode"),
        pytest.param({"abort": 1}, {"abort": 4}, 0, 5, id="given-up-at-either"),
    ],
)
def test_requests_that_end_without_an_answer_count_wherever_they_end(
    prefill, decode, failed, aborted
):
    view = started().look(p=vllm_page(**prefill), d1=vllm_page(**decode), d2=vllm_page())
    found = counts(view)
    assert (found["failed"], found["aborted"]) == (failed, aborted)
    assert found["arrived"] == failed + aborted


def test_the_wait_for_the_first_token_is_prefills():
    view = started().look(
        p=vllm_page(length=9, ttft=(6, 3)), d1=vllm_page(stop=9, ttft=(9, 0)), d2=vllm_page()
    )
    assert view.latency.time_to_first_token.value.counts == (6.0, 3.0)


def sglang_page(*, running=0, queue=0, requests=0, prompt=0, output=0):
    return "\n".join(
        [
            f"sglang:num_running_reqs {running}",
            f"sglang:num_queue_reqs {queue}",
            f"sglang:prompt_tokens_total {prompt}",
            f"sglang:generation_tokens_total {output}",
            f'sglang:e2e_request_latency_seconds_bucket{{le="+Inf"}} {requests}',
            f"sglang:e2e_request_latency_seconds_count {requests}",
            "sglang:e2e_request_latency_seconds_sum 1",
        ]
    )


def test_where_both_roles_get_a_request_at_once_decode_alone_has_it_in_flight():
    rounds = Rounds(EngineKind.SGLANG)
    rounds.look(p=sglang_page(), d1=sglang_page(), d2=sglang_page())
    view = rounds.look(
        p=sglang_page(running=2, queue=8),
        d1=sglang_page(running=3, queue=4),
        d2=sglang_page(queue=3),
    )
    assert view.traffic.in_flight_requests.value == 10


@pytest.mark.parametrize("silent", ["p", "d1"])
def test_a_silent_engine_of_either_role_leaves_demand_unknown_and_not_less(silent):
    pages = {
        "p": vllm_page(length=5, prompt=500, running=1),
        "d1": vllm_page(stop=3, output=270, running=2),
        "d2": vllm_page(stop=1, output=90),
    }
    rounds = started()
    before = rounds.look(**pages)
    after = rounds.look(**{**pages, silent: None})
    assert isinstance(after.traffic.in_flight_requests, Stale)
    assert isinstance(after.traffic.arrived_requests_total, Stale)
    assert after.traffic.arrived_requests_total.value >= before.traffic.arrived_requests_total.value


def test_without_any_engine_of_one_role_nothing_is_claimed():
    rounds = Rounds()
    view = rounds.look(d1=vllm_page(stop=3, output=270), d2=vllm_page())
    assert isinstance(view.traffic.admitted_prompt_tokens_total, Missing)

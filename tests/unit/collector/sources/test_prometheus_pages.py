"""Engines' pages out of Prometheus: one query per signal, the time of the scrape, and honest silence."""

import asyncio
import threading

import pytest

from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.model.contract import EngineSignal
from collector.model.replica import EngineKind
from collector.ports import InstantAnswer, InstantSample, ScrapeTarget, TargetIdentity
from collector.sources.prometheus_pages import PrometheusReader, SplitReader, TargetLabels
from support.fake_expositions import FakeExpositionReader


class Scripted:
    """An `InstantReader` that answers by what the query is about."""

    def __init__(self, **answers: InstantAnswer) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def query(self, expression: str) -> InstantAnswer:
        self.asked.append(expression)
        for about, answer in self._answers.items():
            if about in expression:
                return answer
        return InstantAnswer(samples=())


def sample(value: float, **labels: str) -> InstantSample:
    return InstantSample(labels=labels, value=value)


def reader(api, **more) -> PrometheusReader:
    rules = load_contracts().gateway.rules.values
    return PrometheusReader(api, rules=rules, clock=SystemClock(), **more)


def target(key: str, **match: str) -> ScrapeTarget:
    return ScrapeTarget(key=key, url=f"http://{key}:1/metrics", match=match)


UP = InstantAnswer(samples=(sample(50.0, instance="a:1"), sample(60.0, instance="b:1")))
HELD = "foresail_requests_held"


async def test_each_target_gets_its_own_series_and_the_time_of_its_scrape():
    found = InstantAnswer(
        samples=(
            sample(1.0, __name__=HELD, instance="a:1", service='ch"at'),
            sample(float("nan"), __name__=HELD, instance="b:1", service="embed"),
        )
    )
    api = Scripted(**{"timestamp(up)": UP, HELD: found})
    pages = await reader(api).read_expositions([target("a"), target("b"), target("c")])
    assert pages["a"].text == f'{HELD}{{service="ch\\"at"}} 1.0\n'
    assert pages["a"].observed_timestamp_seconds == 50.0
    assert pages["b"].text == f'{HELD}{{service="embed"}} nan\n'
    assert pages["c"].text is None
    assert pages["c"].error == 'Prometheus has no answer of the target {instance="c:1"}'


async def test_there_is_one_query_per_signal_however_many_targets():
    api = Scripted(**{"timestamp(up)": UP})
    await reader(api).read_expositions([target("a"), target("b")])
    rules = load_contracts().gateway.rules
    assert len(api.asked) == 2 + len(rules)
    assert f'sum by (__name__, instance, service) ({{__name__=~"{HELD}"}})' in api.asked


async def test_a_signal_that_cannot_be_asked_is_a_problem_and_the_rest_is_there():
    broken = InstantAnswer(samples=(), error="refused: too many samples")
    found = InstantAnswer(samples=(sample(2.0, __name__="x", instance="a:1"),))
    api = Scripted(**{"timestamp(up)": UP, HELD: broken, "foresail_gateway_start": found})
    page = (await reader(api).read_expositions([target("a")]))["a"]
    assert page.text == "x{} 2.0\n"
    assert page.problems == ("refused: too many samples",)


async def test_without_prometheus_no_target_has_an_answer():
    api = Scripted(up=InstantAnswer(samples=(), error="http://p cannot be asked"))
    page = (await reader(api).read_expositions([target("a")]))["a"]
    assert (page.text, page.error) == (None, "http://p cannot be asked")
    assert len(api.asked) == 1


async def test_a_round_that_is_late_is_the_answer_to_the_next_call():
    released = threading.Event()

    class Late(Scripted):
        def query(self, expression: str) -> InstantAnswer:
            released.wait(10)
            return super().query(expression)

    api = Late(**{"timestamp(up)": UP})
    it = reader(api, timeout_seconds=0.05)
    first = (await it.read_expositions([target("a")]))["a"]
    assert first.error == "Prometheus was not read within 0.05 s"
    again = (await it.read_expositions([target("a")]))["a"]
    assert again.error == first.error
    released.set()
    await asyncio.wait_for(it.close(), 5)
    pages = await it.read_expositions([target("a"), target("b")])
    assert pages["a"].observed_timestamp_seconds == 50.0
    assert pages["b"].error == "Prometheus was asked before this target was there"
    assert sum("timestamp(up)" in each for each in api.asked) == 1
    pages = await it.read_expositions([target("b")])
    assert pages["b"].observed_timestamp_seconds == 60.0


async def test_a_target_that_is_scraped_twice_has_no_answer_since_counters_would_double():
    up = [("a:1", "vllm"), ("a:1", "vllm-again"), ("b:1", "vllm")]
    targets = InstantAnswer(
        samples=tuple(sample(1.0, instance=address, job=job) for address, job in up)
    )
    api = Scripted(**{"timestamp(up)": UP, "up == 1": targets})
    pages = await reader(api).read_expositions([target("a"), target("b")])
    assert pages["a"].text is None
    assert pages["a"].error.startswith('Prometheus scrapes 2 targets {instance="a:1"}; name labels')
    assert pages["b"].text is not None


def rule(signal: EngineSignal):
    return load_contracts().engines[EngineKind.VLLM].rules[signal]


async def test_a_series_that_two_signals_read_is_asked_for_and_counted_once():
    finished = "vllm:request_success_total"
    found = InstantAnswer(
        samples=(
            sample(4.0, __name__=finished, instance="a:1", engine="0", finished_reason="stop"),
        )
    )
    api = Scripted(**{"timestamp(up)": UP, finished: found})
    rules = [rule(EngineSignal.FINISHED_REQUESTS_TOTAL), rule(EngineSignal.FAILED_REQUESTS_TOTAL)]
    it = PrometheusReader(api, rules=lambda: rules, clock=SystemClock())
    page = (await it.read_expositions([target("a")]))["a"]
    assert page.text == f'{finished}{{engine="0",finished_reason="stop"}} 4.0\n'
    assert [each for each in api.asked if finished in each] == [
        "sum by (__name__, instance, finished_reason, engine) "
        f'({{__name__=~"{finished}|vllm_request_success_total"}})'
    ]


async def test_settings_come_with_all_labels_but_those_prometheus_gave_the_target():
    info = "vllm:cache_config_info"
    given = {"instance": "a:1", "job": "engines", "pod": "a-7"}
    api = Scripted(
        **{
            "timestamp(up)": UP,
            "up == 1": InstantAnswer(samples=(sample(1.0, **given),)),
            info: InstantAnswer(
                samples=(sample(1.0, __name__=info, **given, block_size="16", cache_dtype="auto"),)
            ),
        }
    )
    rules = [rule(EngineSignal.KV_BLOCK_TOKENS), rule(EngineSignal.KV_CAPACITY_TOKENS)]
    it = PrometheusReader(api, rules=lambda: rules, clock=SystemClock())
    page = (await it.read_expositions([target("a")]))["a"]
    assert page.text == f'{info}{{block_size="16",cache_dtype="auto"}} 1.0\n'
    assert sum(info in each for each in api.asked) == 1


async def test_what_was_declared_of_the_labels_tells_targets_of_one_name_apart():
    times = InstantAnswer(
        samples=(
            sample(50.0, instance="a:1", cluster="eu"),
            sample(60.0, instance="a:1", cluster="us"),
        )
    )
    found = InstantAnswer(
        samples=(
            sample(1.0, __name__=HELD, instance="a:1", cluster="eu"),
            sample(2.0, __name__=HELD, instance="a:1", cluster="us"),
        )
    )
    api = Scripted(**{"timestamp(up": times, HELD: found})
    page = (await reader(api).read_expositions([target("a", cluster="us")]))["a"]
    assert (page.text, page.observed_timestamp_seconds) == (f"{HELD}{{}} 2.0\n", 60.0)
    assert api.asked[0] == "min by (cluster, instance) (timestamp(up) * (up == 1))"


async def test_labels_of_all_engines_narrow_every_query():
    api = Scripted(**{"timestamp(up": UP})
    labels = TargetLabels(match={"job": 'en"gines'})
    await reader(api, labels=labels).read_expositions([target("a")])
    assert all('job="en\\"gines"' in each for each in api.asked)


@pytest.mark.parametrize(
    ("holds", "value"),
    [
        (TargetIdentity.ADDRESS, "10.0.0.7:8000"),
        (TargetIdentity.HOST, "10.0.0.7"),
        (TargetIdentity.REPLICA_ID, "chat-1"),
    ],
)
def test_a_replica_is_known_by_the_label_and_the_value_that_were_chosen(holds, value):
    labels = TargetLabels(label="pod", holds=holds)
    it = ScrapeTarget(key="chat-1", url="http://10.0.0.7:8000/metrics", match={"namespace": "llm"})
    assert labels.of(it) == {"pod": value, "namespace": "llm"}


async def test_pages_behind_a_socket_are_read_directly():
    sockets, engines = (FakeExpositionReader(clock=SystemClock()) for _ in range(2))
    sockets.pages["gateway"], engines.pages["r1"] = "a 1\n", "b 2\n"
    gateway = ScrapeTarget(key="gateway", url="http://gateway/metrics", unix_socket_path="/s")
    split = SplitReader(engines=engines, sockets=sockets)
    pages = await split.read_expositions([gateway, target("r1")])
    assert {key: page.text for key, page in pages.items()} == {"gateway": "a 1\n", "r1": "b 2\n"}

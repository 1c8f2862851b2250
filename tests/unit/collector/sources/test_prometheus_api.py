"""Prometheus's API through the client: whatever the server does, an answer or one line comes back."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.model.contract import Contracts
from collector.ports import InstantAnswer, InstantSample, ScrapeTarget
from collector.sources.prometheus_api import MAX_POINTS, PrometheusAddress, PrometheusApi
from collector.sources.prometheus_pages import PrometheusReader


class FakePrometheus:
    """Answers every query with what it is told to."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[dict[str, str]] = []
        self.hang = threading.Event()
        self.hang.set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                query = self.path.partition("?")[2] or raw
                fake.asked.append({key: value[0] for key, value in parse_qs(query).items()})
                fake.hang.wait(10)
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(fake.body)))
                self.end_headers()
                self.wfile.write(fake.body)

            def log_message(self, format: str, *values: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def answers(self, result: object, **more: object) -> None:
        self.body = json.dumps({"status": "success", "data": {"result": result}, **more}).encode()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakePrometheus]:
    fake = FakePrometheus()
    yield fake
    fake.close()


@pytest.fixture(name="api")
def _api(fake: FakePrometheus) -> Iterator[PrometheusApi]:
    api = PrometheusApi(PrometheusAddress(url=fake.url, timeout_seconds=0.4))
    yield api
    api.close()


def test_values_arrive_with_their_labels(fake, api):
    fake.answers([{"metric": {"__name__": "up", "instance": "a"}, "value": [1, "2.5"]}])
    assert api.query("up") == InstantAnswer(
        samples=(InstantSample(labels={"__name__": "up", "instance": "a"}, value=2.5),)
    )
    assert [each["query"] for each in fake.asked] == ["up"]


def test_no_series_is_an_answer(fake, api):
    fake.answers([])
    assert api.query("up") == InstantAnswer(samples=())


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        pytest.param(400, b'{"status":"error","error":"parse error"}', "parse error", id="400"),
        pytest.param(503, b"overloaded", "503", id="503"),
        pytest.param(200, b"<html>proxy</html>", "without a result", id="no JSON"),
        pytest.param(200, b'{"status":"success"}', "without a result: 'data'", id="no data"),
        pytest.param(200, b'{"data":{}}', "without a result: 'result'", id="no result"),
        pytest.param(200, b'{"data":{"result":"x"}}', "in place of series", id="text"),
        pytest.param(200, b'{"data":{"result":[1,"1"]}}', "no series", id="scalar"),
        pytest.param(200, b'{"data":{"result":[{"metric":{}}]}}', "no series", id="no value"),
        pytest.param(200, b"[]", "without a result", id="list"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(fake, api, status, body, why):
    fake.status, fake.body = status, body
    answer = api.query("up")
    assert answer.samples == ()
    assert answer.error is not None
    assert why in answer.error
    assert "\n" not in answer.error
    assert len(fake.asked) == 1  # no retries within a tick


def test_a_server_that_hangs_is_left_alone(fake, api):
    fake.hang.clear()
    answer = api.query("up")
    assert answer.error is not None
    assert "cannot be asked: ReadTimeout" in answer.error


def test_nobody_there_is_told():
    api = PrometheusApi(PrometheusAddress(url="http://127.0.0.1:1", timeout_seconds=0.4))
    answer = api.query("up")
    assert answer.error is not None
    assert "ConnectionError" in answer.error


def test_a_part_is_given_with_the_warning(fake, api):
    fake.answers([{"metric": {}, "value": [1, "NaN"]}], warnings=["store 2 is\ndown"])
    answer = api.query("up")
    assert [str(each.value) for each in answer.samples] == ["nan"]
    assert answer.error == f"{fake.url} answered a part only: store 2 is down"


def test_a_long_range_is_asked_for_in_chunks(fake, api):
    fake.answers([{"metric": {"service": "chat"}, "values": [[15, "1"], [30, "2"]]}])
    answer = api.read_range(
        "x",
        start_timestamp_seconds=15.0,
        end_timestamp_seconds=15.0 * (MAX_POINTS + 2),
        step_seconds=15.0,
    )
    assert [(each["start"], each["end"]) for each in fake.asked] == [
        ("15", str(15 * MAX_POINTS)),
        (str(15 * MAX_POINTS + 15), str(15 * MAX_POINTS + 30)),
    ]
    (series,) = answer.series
    assert series.points == ((15, 1), (30, 2), (15, 1), (30, 2))
    assert answer.errors == ()


def test_a_chunk_that_fails_is_told_once(fake, api):
    fake.status, fake.body = 422, b"too many samples"
    answer = api.read_range(
        "x", start_timestamp_seconds=0.0, end_timestamp_seconds=3e5, step_seconds=15.0
    )
    assert answer.series == ()
    assert len(answer.errors) == 1
    assert "too many samples" in answer.errors[0]


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
    contracts = Contracts(engines={}, gateway=load_contracts().gateway)
    return PrometheusReader(api, contracts=contracts, clock=SystemClock(), **more)


def target(key: str) -> ScrapeTarget:
    return ScrapeTarget(key=key, url=f"http://{key}:1/metrics")


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
    assert len(api.asked) == 1 + len(rules)
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


async def test_a_thread_that_hangs_is_not_joined_by_another():
    released = threading.Event()

    class Hanging(Scripted):
        def query(self, expression: str) -> InstantAnswer:
            super().query(expression)
            released.wait(10)
            return InstantAnswer(samples=())

    api = Hanging()
    it = reader(api, timeout_seconds=0.05)
    first = (await it.read_expositions([target("a")]))["a"]
    second = (await it.read_expositions([target("a")]))["a"]
    assert first.error == "Prometheus was not read within 0.05 s"
    assert second.error == "an earlier round of queries still runs"
    assert len(api.asked) == 1
    released.set()
    await asyncio.wait_for(it.close(), 5)

"""Prometheus's API through the client: whatever the server does, an answer or one line comes back."""

from collections.abc import Iterator

import pytest

from collector.clock import SystemClock
from collector.ports import InstantAnswer, InstantSample
from collector.sources.prometheus_api import MAX_POINTS, PrometheusAddress, PrometheusApi
from support.fake_prometheus import FakePrometheus, fake_prometheus


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakePrometheus]:
    with fake_prometheus() as fake:
        yield fake


def opened(fake: FakePrometheus, **more) -> PrometheusApi:
    address = PrometheusAddress(url=fake.url, timeout_seconds=0.4, **more)
    return PrometheusApi(address, clock=SystemClock())


@pytest.fixture(name="api")
def _api(fake: FakePrometheus) -> Iterator[PrometheusApi]:
    api = opened(fake)
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
        pytest.param(200, b"", "without a result", id="nothing"),
        pytest.param(
            200, b'{"data":{"result":[{"metric":5,"value":[1,"2"]}]}}', "no series", id="labels"
        ),
        pytest.param(
            200,
            b'{"data":{"result":[{"metric":{},"value":[1,1%s]}]}}' % (b"0" * 400),
            "no series",
            id="huge",
        ),
        pytest.param(200, b'{"data":' + b"[" * 100_000, "without a result", id="deep"),
        pytest.param(302, b"", "302", id="redirect to nowhere"),
        pytest.param(401, b"who are you", "who are you", id="401"),
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
    address = PrometheusAddress(url="http://127.0.0.1:1", timeout_seconds=0.4)
    api = PrometheusApi(address, clock=SystemClock())
    assert api.query("up").error == "http://127.0.0.1:1 cannot be asked: Connection refused"


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


def test_an_answer_that_drips_is_given_up_at_the_timeout(fake, api):
    fake.answers([])
    fake.drip_seconds = 0.05
    started = SystemClock().monotonic_seconds()
    error = api.query("up").error
    assert "the answer was not whole within 0.4 s" in error
    assert SystemClock().monotonic_seconds() - started < 2


def test_an_answer_that_breaks_off_is_no_answer(fake, api):
    fake.answers([{"metric": {}, "value": [1, "2"]}])
    fake.says_length = len(fake.body) + 10
    answer = api.query("up")
    assert answer.samples == ()
    assert answer.error is not None


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([["NaN", "1"]], id="no time"),
        pytest.param([["Infinity", "1"]], id="endless time"),
    ],
)
def test_points_without_a_time_are_left_out(fake, api, values):
    fake.answers([{"metric": {}, "values": [*values, [15, "2"]]}])
    answer = api.read_range(
        "x", start_timestamp_seconds=0.0, end_timestamp_seconds=30.0, step_seconds=15.0
    )
    assert [series.points for series in answer.series] == [((15.0, 2.0),)]


def test_the_token_is_the_one_that_is_in_the_file_now(fake, tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    fake.answers([])
    api = opened(fake, bearer_token_path=path)
    api.query("up")
    path.write_text("second")
    api.query("up")
    assert fake.tokens == ["Bearer first", "Bearer second"]
    api.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("se cret", id="two words"),
        pytest.param("sécret", id="no ASCII"),
        pytest.param("se\x00cret", id="control character"),
    ],
)
def test_a_token_that_cannot_be_sent_is_told_without_telling_it(fake, tmp_path, content):
    path = tmp_path / "token"
    path.write_text(content)
    answer = opened(fake, bearer_token_path=path).query("up")
    assert (
        answer.error == f"{fake.url} cannot be asked: {path} must hold one token and nothing else"
    )
    assert fake.asked == []


def test_a_token_file_that_is_gone_is_told(fake, tmp_path):
    answer = opened(fake, bearer_token_path=tmp_path / "none").query("up")
    assert "No such file" in answer.error


def test_a_closed_one_asks_nobody_so_that_a_thread_ends_soon(fake):
    fake.answers([])
    api = opened(fake)
    api.close()
    past = api.read_range(
        "up", start_timestamp_seconds=0, end_timestamp_seconds=60, step_seconds=15
    )
    why = f"{fake.url} is not asked any more: the connection was closed"
    assert (api.query("up").error, past.errors) == (why, (why,))
    assert not fake.asked

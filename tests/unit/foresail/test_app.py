"""The controller's HTTP app: health, data, headers, and who may ask."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Gauge

from autoscaler.metrics import ControllerMetrics
from collector.model.ids import ServiceName
from foresail.http.app import PAGE_FOLDER, create_app
from foresail.http.guard import host_name
from foresail.ports import ControllerReport, TickReport
from support.fake_controller import (
    CHAT,
    FakeControllerView,
    busy_past,
    busy_report,
    empty_report,
    make_catalogue,
    make_decision,
    make_evidence,
    make_service,
)

HOSTS = ("localhost", "127.0.0.1", "[::1]")
XSS = ServiceName('<script>alert(1)</script>"&')


def client_of(
    report: ControllerReport, *, registries: tuple[CollectorRegistry, ...] = ()
) -> TestClient:
    app = create_app(
        FakeControllerView(report, past=busy_past()), allowed_hosts=HOSTS, registries=registries
    )
    return TestClient(app, base_url="http://127.0.0.1:9090")


def test_a_process_that_answers_is_alive_whatever_the_loop_does() -> None:
    answer = client_of(empty_report()).get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_not_ready_until_the_first_tick_has_succeeded() -> None:
    answer = client_of(empty_report()).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "reason": "no tick has succeeded yet"}


def test_ready_after_a_tick_and_not_when_it_grows_old() -> None:
    view = FakeControllerView(busy_report())
    client = TestClient(create_app(view, allowed_hosts=HOSTS), base_url="http://localhost")
    assert client.get("/readyz").status_code == 200
    view.current = replace(view.current, ticks=TickReport(last_success_age_seconds=46.0))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "the last successful tick is 46.0 s old, the limit is 45 s"


def test_metrics_are_all_registries_one_after_the_other() -> None:
    other = CollectorRegistry()
    Gauge("foresail_other_ratio", "Another.", registry=other).set(0.5)
    answer = client_of(empty_report(), registries=(ControllerMetrics().registry, other)).get(
        "/metrics"
    )
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "foresail_effects_running 0.0\n" in answer.text
    assert answer.text.endswith("foresail_other_ratio 0.5\n")


def test_state_is_what_the_controller_reports() -> None:
    body = client_of(busy_report()).get("/v1/state").json()
    assert body["mode"] == "active"
    assert body["ledger"]["record_count"] == 1204
    assert [record["seq"] for record in body["ledger"]["recent"]] == [3, 2, 1]
    assert [service["name"] for service in body["services"]] == ["chat", "code", "embed"]
    assert body["services"][2]["demand"]["requests_per_second"] is None
    assert body["running_effects"][0]["phase"] == "spawned"


def test_numbers_json_cannot_carry_become_null() -> None:
    odd = replace(make_evidence(), burn_rate=float("nan"), demand_work_ratio=float("inf"))
    report = replace(busy_report(), decisions=(make_decision(CHAT, evidence=odd),))
    body = client_of(report).get("/v1/state").json()
    evidence = body["services"][0]["last_decision"]["evidence"]
    assert (evidence["burn_rate"], evidence["demand_work_ratio"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", ["embed-2", "code-2", "chat-2", "embed-17", "code-32"], id="newest-first"),
        pytest.param("last=2", ["embed-2", "code-2"], id="at-most"),
        pytest.param("service=chat", ["chat-2", "chat-77", "chat-92"], id="one-service"),
        pytest.param("service=chat&changes_only=true", ["chat-2", "chat-92"], id="changes"),
        pytest.param("service=nobody", [], id="unknown-service"),
    ],
)
def test_decisions(*, query: str, expected: list[str]) -> None:
    body = client_of(busy_report()).get(f"/v1/decisions?{query}").json()
    assert [each["decision_id"] for each in body["decisions"]][:5] == expected


def test_a_decision_is_told_as_data_and_in_words() -> None:
    (decision,) = (
        client_of(busy_report()).get("/v1/decisions?last=1&service=chat").json()["decisions"]
    )
    assert decision["action"] == {
        "kind": "scale",
        "direction": "out",
        "variant": "only",
        "from_replicas": 2,
        "to_replicas": 3,
        "stop_replicas": [],
    }
    assert (decision["reason"], decision["verdict"]) == ("demand_forecast", "act")
    assert decision["action_words"] == "scale out 2 → 3"
    assert [each["rejected_because"] for each in decision["candidates"]] == [
        None,
        "demand_forecast",
    ]
    assert decision["explanation"].startswith("Scale only out 2 to 3: ")


def test_what_a_decision_is_unsure_of_is_told() -> None:
    unsure = replace(
        make_evidence(), learning=("a prior",), planning=("only roughly",), announced=("'opening'",)
    )
    report = replace(busy_report(), decisions=(make_decision(CHAT, evidence=unsure),))
    body = client_of(report).get("/v1/state").json()
    evidence = body["services"][0]["last_decision"]["evidence"]
    told = {key: evidence[key] for key in ("learning", "planning", "announced")}
    assert told == {
        "learning": ["a prior"],
        "planning": ["only roughly"],
        "announced": ["'opening'"],
    }


@pytest.mark.parametrize("last", ["0", "-1", "501", "many", "9" * 400], ids=str)
def test_a_senseless_count_is_refused(last: str) -> None:
    assert client_of(busy_report()).get(f"/v1/decisions?last={last}").status_code == 422


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9090", "localhost", "LocalHost:1", "localhost.", "[::1]:9090"]
)
def test_a_host_on_the_list_is_let_in(host: str) -> None:
    assert client_of(empty_report()).get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:9090",
        "",
        "[::2]",
        "@",
        "[",
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/state", "/static/page.js", "/nowhere"])
def test_any_other_host_is_refused_on_every_path(*, host: str, path: str) -> None:
    answer = client_of(empty_report()).get(path, headers={"host": host})
    assert answer.status_code == 400
    assert "is not allowed; use the address this was started with" in answer.json()["error"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_two_host_headers_are_refused() -> None:
    headers = [("host", "localhost"), ("host", "evil.example")]
    answer = client_of(empty_report()).get("/healthz", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.Example:80", "a.example"), ("[::1]", "[::1]"), ("[::1]:1", "[::1]"), ("x", "x")],
)
def test_host_name(*, host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/v1/state", "/metrics", "/nowhere"])
def test_every_answer_is_closed_to_other_sites(path: str) -> None:
    answer = client_of(busy_report()).get(path, headers={"origin": "http://evil.example"})
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_nothing_can_be_changed() -> None:
    client = client_of(busy_report())
    schema = client.get("/openapi.json").json()
    assert {method for path in schema["paths"].values() for method in path} == {"get"}
    for path in ("/v1/state", "/v1/decisions", "/"):
        assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_that_loads_scripts_from_elsewhere(path: str) -> None:
    assert client_of(empty_report()).get(path).status_code == 404


def test_the_schema_names_every_body() -> None:
    schema = client_of(empty_report()).get("/openapi.json").json()
    assert {"StateBody", "DecisionsBody", "ServiceBody", "ReadingBody"} <= set(
        schema["components"]["schemas"]
    )
    described = schema["components"]["schemas"]["ObjectiveBody"]["properties"]["is_met"]
    assert described["description"].startswith("Over what was measured here")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/static/style.css", "text/css"),
        ("/static/page.js", "text/javascript"),
        ("/static/icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_comes_out_of_the_package(*, path: str, kind: str) -> None:
    answer = client_of(empty_report()).get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "path", ["/static/../ports.py", "/static/%2e%2e/ports.py", "/static//etc/passwd"]
)
def test_nothing_beside_the_page_is_served(path: str) -> None:
    assert client_of(empty_report()).get(path).status_code == 404


def test_the_page_asks_nobody_else_and_writes_text_only() -> None:
    for file in PAGE_FOLDER.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, (file.name, word)


def test_names_that_look_like_markup_are_carried_as_they_are() -> None:
    report = replace(
        empty_report(),
        catalogue=make_catalogue(make_service(XSS)),
        decisions=(make_decision(XSS),),
    )
    answer = client_of(report).get("/v1/state")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["services"][0]["name"] == XSS

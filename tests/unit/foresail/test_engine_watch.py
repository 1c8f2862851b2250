"""The node agent's look at engines: addresses, what is asked of llama.cpp, and the series on the page."""

import pytest

from collector.clock import SystemClock, VirtualClock
from collector.errors import ConfigurationError
from collector.model.engine_admin import AdminApi
from collector.normalise.exposition import parse_exposition
from foresail.engine_watch import WatchedEngine, watched_engine
from foresail.node_agent import NodeAgent
from foresail.wiring.agent import engine_watch
from support import played_answers
from support.fake_devices import FakeDeviceProbe
from support.played_engine import playing, recorded, written


async def page_of(*engines):
    agent = NodeAgent(
        devices=FakeDeviceProbe(),
        host_memory=None,
        node_name="box",
        clock=VirtualClock(0.0),
        engines=engine_watch(engines, clock=SystemClock()),
    )
    try:
        look = await agent.look()
    finally:
        await agent.close()
    return look


async def samples(api, answers, *, more=()):
    """{name: {labels beside engine and address: value}} of one engine's page."""
    async with playing(answers) as engine:
        look = await page_of(WatchedEngine(api=api, base_url=engine.url), *more)
    read = parse_exposition(look.page, source="agent", dropped_suffixes=())
    assert read.problems == ()
    return {
        name: {
            tuple(
                value for key, value in each.labels if key not in ("engine", "address")
            ): each.value
            for each in told
            if dict(each.labels)["engine"] == api.value
        }
        for name, told in read.by_name.items()
        if name.startswith("foresail_engine_")
    }


async def test_ollama_tells_models_bytes_and_expiry():
    told = await samples(AdminApi.OLLAMA, played_answers.ollama("ps_three"))
    assert told["foresail_engine_up"] == {(): 1}
    assert told["foresail_engine_model_memory_bytes"] == {
        ("tiny1:latest",): 1_901_824,
        ("layers3:latest",): 2_590_464,
        ("layers4:latest",): 3_279_104,
    }
    assert told["foresail_engine_model_accelerator_memory_bytes"][("tiny1:latest",)] == 0
    assert told["foresail_engine_model_context_length_tokens"][("layers3:latest",)] == 2048
    assert told["foresail_engine_model_expiry_timestamp_seconds"][("layers3:latest",)] > 1.79e9
    states = told["foresail_engine_model_state"]
    assert {labels for labels, value in states.items() if value} == {
        ("tiny1:latest", "loaded"),
        ("tiny2:latest", "loaded"),  # one blob under three names
        ("tiny3:latest", "loaded"),
        ("layers3:latest", "loaded"),
        ("layers4:latest", "loaded"),
    }
    assert told["foresail_engine_info"] == {("0.0.0",): 1}


async def test_what_is_not_told_has_no_sample():
    told = await samples(AdminApi.OLLAMA, played_answers.ollama("ps_none"))
    assert "foresail_engine_model_memory_bytes" not in told
    assert "foresail_engine_in_flight_requests" not in told
    assert "foresail_engine_asleep" not in told
    assert "foresail_engine_running_requests" not in told


def llama_cpp(build, **props):
    """One that says it is of this build; `is_sleeping=None`: a build that cannot sleep when idle."""
    told = {"endpoint_metrics": True, "total_slots": 2, "is_sleeping": False, "build_info": build}
    told = {key: value for key, value in {**told, **props}.items() if value is not None}
    return {**played_answers.llama_cpp(), "/props": written(told)}


async def test_llama_cpp_tells_slots_busy_and_waiting():
    told = await samples(AdminApi.LLAMA_CPP, llama_cpp("b11549-0123abc"))
    assert told["foresail_engine_model_slots"] == {("tiny",): 2}
    assert told["foresail_engine_running_requests"] == {(): 2}
    assert told["foresail_engine_waiting_requests"] == {(): 6}
    assert told["foresail_engine_asleep"] == {(): 0}


async def test_llama_cpp_without_its_metric_page_still_tells_slots_context_and_sleep():
    answers = played_answers.llama_cpp(is_asleep=True)
    off = written({"endpoint_metrics": False, "total_slots": 2, "is_sleeping": True})
    told = await samples(AdminApi.LLAMA_CPP, {**answers, "/props": off})
    assert told["foresail_engine_asleep"] == {(): 1}
    assert told["foresail_engine_model_context_length_tokens"] == {("tiny",): 1024}
    assert "foresail_engine_running_requests" not in told
    assert told["foresail_engine_problems"] == {(): 0}


async def test_vllm_tells_what_waits_while_it_sleeps():
    answers = played_answers.vllm(is_asleep=True, pending=True)
    told = await samples(AdminApi.VLLM, answers)
    assert told["foresail_engine_asleep"] == {(): 1}
    assert told["foresail_engine_in_flight_requests"] == {(): 3}


async def test_llama_swap_tells_states():
    told = await samples(AdminApi.LLAMA_SWAP, played_answers.llama_swap(tiny="starting"))
    states = told["foresail_engine_model_state"]
    assert {labels for labels, value in states.items() if value} == {
        ("tiny", "loading"),
        ("big", "unloaded"),
    }


async def test_an_engine_that_is_gone_is_down_and_hides_no_other():
    gone = WatchedEngine(api=AdminApi.VLLM, base_url="http://127.0.0.1:1")
    async with playing(played_answers.ollama()) as engine:
        look = await page_of(WatchedEngine(api=AdminApi.OLLAMA, base_url=engine.url), gone)
    assert 'foresail_engine_up{engine="vllm",address="127.0.0.1:1"} 0\n' in look.page
    assert 'foresail_engine_up{engine="ollama",' in look.page
    assert "foresail_engine_model_memory_bytes" in look.page
    assert [each.source for each in look.problems] == ["admin:vllm"]


async def test_without_engines_the_page_has_no_series_of_them():
    agent = NodeAgent(
        devices=FakeDeviceProbe(), host_memory=None, node_name="box", clock=VirtualClock(0.0)
    )
    assert "foresail_engine" not in (await agent.look()).page


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param(llama_cpp("b11549-0123abc"), None, id="left-asleep"),
        pytest.param(
            llama_cpp("b7400-0123abc"), "not read in build b7400-0123abc", id="woken-by-it"
        ),
        pytest.param(llama_cpp("b0-unknown"), "its build is not known", id="unknown-may-wake"),
        pytest.param(llama_cpp(None), "its build is not known", id="not-told"),
        pytest.param(llama_cpp("b6000", is_sleeping=None), None, id="cannot-sleep"),
        pytest.param(
            llama_cpp("b0-unknown", is_sleeping=None), None, id="unknown-and-cannot-sleep"
        ),
        pytest.param(
            llama_cpp("b0-unknown", is_sleeping="no"), "its build is not known", id="nonsense"
        ),
    ],
)
async def test_a_metric_page_is_read_only_where_that_keeps_no_model_awake(answers, why):
    async with playing(answers) as engine:
        look = await page_of(WatchedEngine(api=AdminApi.LLAMA_CPP, base_url=engine.url))
    assert ("GET /metrics" in engine.asked) is (why is None)
    assert ("foresail_engine_running_requests{" in look.page) is (why is None)
    told = [each.message for each in look.problems if "metric page" in each.message]
    assert [why in each for each in told] == ([True] if why else [])


@pytest.mark.parametrize(
    ("api", "answers"),
    [
        pytest.param(AdminApi.OLLAMA, played_answers.ollama(), id="ollama"),
        pytest.param(AdminApi.LLAMA_CPP, played_answers.llama_cpp(is_asleep=True), id="llama-cpp"),
        pytest.param(AdminApi.LLAMA_CPP, played_answers.llama_cpp_router(), id="router"),
        pytest.param(AdminApi.LLAMA_SWAP, played_answers.llama_swap(tiny="ready"), id="llama-swap"),
        pytest.param(AdminApi.VLLM, played_answers.vllm(is_asleep=True), id="vllm"),
    ],
)
async def test_every_path_that_is_asked_neither_loads_nor_holds_a_model(api, answers):
    async with playing(answers) as engine:
        await page_of(WatchedEngine(api=api, base_url=engine.url))
    harmless = {
        AdminApi.OLLAMA: {"/api/version", "/api/tags", "/api/ps"},
        AdminApi.LLAMA_CPP: {"/v1/models", "/props", "/metrics"},
        AdminApi.LLAMA_SWAP: {"/v1/models", "/running", "/api/version"},
        AdminApi.VLLM: {"/version", "/v1/models", "/load", "/is_sleeping", "/is_paused"},
    }
    assert set(engine.asked) <= {f"GET {path}" for path in harmless[api]}


async def test_a_router_is_not_asked_for_its_metric_page():
    answers = {
        **played_answers.llama_cpp_router(),
        "/metrics": recorded("llama.cpp-xllamacpp-2026.10.11549/metrics_idle.prom"),
    }
    async with playing(answers) as engine:
        await page_of(WatchedEngine(api=AdminApi.LLAMA_CPP, base_url=engine.url))
    assert "GET /metrics" not in engine.asked


@pytest.mark.parametrize(
    ("text", "base_url", "address"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434", "127.0.0.1:11434"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434", "127.0.0.1:11434"),
        ("https://[::1]:8080/llama/", "https://[::1]:8080/llama", "[::1]:8080/llama"),
    ],
)
def test_urls_are_taken_without_a_slash_at_their_end(text, base_url, address):
    engine = watched_engine(text, api=AdminApi.OLLAMA)
    assert (engine.base_url, engine.address) == (base_url, address)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:11434", "ftp://h", "http://", "http://h:x", "http://[::1", "http://h a"]
)
def test_what_is_no_url_is_refused_with_an_example(text):
    with pytest.raises(ConfigurationError, match=r"--llama-cpp must be a URL such as http://127"):
        watched_engine(text, api=AdminApi.LLAMA_CPP)


@pytest.mark.parametrize("text", ["http://u:geheim@h", "http://h?key=geheim", "http://h#geheim"])
def test_secrets_in_a_url_are_refused_and_not_repeated(text):
    with pytest.raises(ConfigurationError) as refused:
        watched_engine(text, api=AdminApi.VLLM)
    assert "geheim" not in str(refused.value)


def test_an_engine_that_is_named_twice_is_refused():
    engine = WatchedEngine(api=AdminApi.OLLAMA, base_url="http://h:1")
    with pytest.raises(ConfigurationError, match="given twice"):
        engine_watch([engine, engine], clock=SystemClock())

"""What each admin interface tells, held against recorded answers: literals, and reasons for what is missing."""

import pytest

from collector.model.engine_admin import AdminApi, ModelState
from collector.model.reading import Fresh, Missing, MissingReason
from support import played_answers
from support.admin_worlds import reader_of
from support.engine_admin_suite import the_model
from support.played_engine import Misdeed, playing, recorded, written

ABSENT, CANNOT, OFF = (
    MissingReason.SERIES_ABSENT,
    MissingReason.CANNOT_SEE,
    MissingReason.SWITCHED_OFF,
)


async def look(api, answers):
    async with playing(answers) as engine, reader_of(api) as reader:
        return await reader.read_admin_state(engine.url)


def plain(reading):
    """The value, or why there is none."""
    return reading.value if isinstance(reading, Fresh) else reading.reason


def states(state):
    assert isinstance(state.models, Fresh), state
    return {each.name: plain(each.state) for each in state.models.value}


def facts(model):
    return {
        "memory": plain(model.memory_bytes),
        "accelerator": plain(model.accelerator_memory_bytes),
        "stored": plain(model.stored_bytes),
        "context": plain(model.context_length_tokens),
        "slots": plain(model.slots),
        "expiry": plain(model.expiry_timestamp_seconds),
    }


class TestOllama:
    async def test_a_loaded_model_has_its_memory_and_its_expiry(self):
        state = await look(AdminApi.OLLAMA, played_answers.ollama("ps_one"))
        assert facts(the_model(state, "tiny1:latest")) == {
            "memory": 1_901_824,
            "accelerator": 0,  # told: this one ran on a CPU
            "stored": 1_440_394,
            "context": 2048,
            "slots": CANNOT,
            "expiry": pytest.approx(1_795_303_006.624792),
        }
        assert (plain(state.version), state.problems) == ("0.0.0", ())
        assert plain(state.in_flight_requests) is CANNOT
        assert plain(state.is_asleep) is CANNOT

    async def test_an_unloaded_model_has_no_memory_that_could_be_told(self):
        state = await look(AdminApi.OLLAMA, played_answers.ollama("ps_none"))
        assert states(state) == {
            "tiny1:latest": ModelState.UNLOADED,
            "tiny2:latest": ModelState.UNLOADED,
            "tiny3:latest": ModelState.UNLOADED,
        }
        assert plain(the_model(state, "tiny1:latest").memory_bytes) is ABSENT
        assert plain(the_model(state, "tiny1:latest").stored_bytes) == 1_440_394

    async def test_names_of_one_blob_share_one_runner_whose_memory_is_told_once(self):
        state = await look(AdminApi.OLLAMA, played_answers.ollama("ps_one"))
        assert set(states(state).values()) == {ModelState.LOADED}
        told = [plain(each.memory_bytes) for each in state.models.value]
        assert told == [1_901_824, ABSENT, ABSENT]

    async def test_loaded_models_that_are_not_stored_under_their_name_are_told(self):
        state = await look(AdminApi.OLLAMA, played_answers.ollama("ps_three"))
        assert states(state)["layers4:latest"] is ModelState.LOADED
        assert plain(the_model(state, "layers4:latest").stored_bytes) is ABSENT

    async def test_for_ever_is_a_far_expiry(self):
        state = await look(AdminApi.OLLAMA, played_answers.ollama("ps_two_one_forever"))
        model = the_model(state, "tiny1:latest")
        assert plain(model.expiry_timestamp_seconds) > 1.1e10  # the year 2319

    async def test_without_the_list_of_loaded_models_no_model_counts_as_unloaded(self):
        answers = {**played_answers.ollama(), "/api/ps": written({"error": "busy"}, status=500)}
        state = await look(AdminApi.OLLAMA, answers)
        assert set(states(state).values()) == {MissingReason.SOURCE_UNREACHABLE}
        assert state.problems[0].message.endswith("GET /api/ps answered HTTP 500")

    async def test_without_the_list_of_stored_models_the_loaded_ones_are_told(self):
        answers = played_answers.ollama()
        del answers["/api/tags"]
        assert states(await look(AdminApi.OLLAMA, answers)) == {"tiny1:latest": ModelState.LOADED}


class TestLlamaCpp:
    async def test_one_model_has_slots_context_and_size(self):
        state = await look(AdminApi.LLAMA_CPP, played_answers.llama_cpp())
        assert facts(the_model(state, "tiny")) == {
            "memory": CANNOT,
            "accelerator": CANNOT,
            "stored": 1_377_536,
            "context": 1024,
            "slots": 2,
            "expiry": CANNOT,
        }
        assert plain(state.is_asleep) is False
        assert plain(state.serves_metrics) is True
        assert state.problems == ()

    async def test_a_build_that_calls_itself_b0_has_no_version(self):
        state = await look(AdminApi.LLAMA_CPP, played_answers.llama_cpp())
        assert plain(state.version) is CANNOT

    async def test_asleep_is_told(self):
        state = await look(AdminApi.LLAMA_CPP, played_answers.llama_cpp(is_asleep=True))
        assert plain(state.is_asleep) is True
        assert states(state) == {"tiny": ModelState.ASLEEP}

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("unloaded", ModelState.UNLOADED),
            ("loading", ModelState.LOADING),
            ("loaded", ModelState.LOADED),
            ("sleeping", ModelState.ASLEEP),
            ("downloading", ModelState.DOWNLOADING),
            ("never heard of", MissingReason.UNREADABLE),
        ],
    )
    async def test_a_router_tells_each_models_state(self, status, expected):
        state = await look(AdminApi.LLAMA_CPP, played_answers.llama_cpp_router(tiny=status))
        assert states(state) == {"tiny": expected}
        assert plain(state.version) == "b11277-eae11d2"
        assert plain(state.serves_metrics) is CANNOT  # its page would load a model

    async def test_a_model_that_failed_to_load_is_told(self):
        entry = {"id": "tiny", "status": {"value": "unloaded", "failed": True, "exit_code": 1}}
        answers = {**played_answers.llama_cpp_router(), "/v1/models": written({"data": [entry]})}
        assert states(await look(AdminApi.LLAMA_CPP, answers)) == {"tiny": ModelState.FAILED}

    async def test_while_its_first_model_loads_nothing_is_known(self):
        loading = written({"error": {"code": 503, "message": "Loading model"}}, status=503)
        state = await look(AdminApi.LLAMA_CPP, {"/v1/models": loading, "/props": loading})
        assert plain(state.models) is MissingReason.SOURCE_UNREACHABLE


class TestLlamaSwap:
    @pytest.mark.parametrize(
        ("told", "expected"),
        [
            ("starting", ModelState.LOADING),
            ("ready", ModelState.LOADED),
            ("stopping", ModelState.UNLOADING),
            ("stopped", ModelState.UNLOADED),
            ("shutdown", ModelState.UNLOADED),
            ("dreaming", MissingReason.UNREADABLE),
        ],
    )
    async def test_running_models_have_the_state_they_tell(self, told, expected):
        state = await look(AdminApi.LLAMA_SWAP, played_answers.llama_swap(tiny=told))
        assert states(state) == {"tiny": expected, "big": ModelState.UNLOADED}
        assert plain(state.version) == "166"

    async def test_commands_with_their_secrets_are_not_kept(self):
        state = await look(AdminApi.LLAMA_SWAP, played_answers.llama_swap(tiny="dreaming"))
        assert "secret" not in repr(state)

    async def test_without_running_no_model_counts_as_unloaded(self):
        answers = played_answers.llama_swap()
        del answers["/running"]
        state = await look(AdminApi.LLAMA_SWAP, answers)
        assert set(states(state).values()) == {MissingReason.SOURCE_UNREACHABLE}

    async def test_a_release_without_a_version_is_no_problem(self):
        answers = played_answers.llama_swap()
        del answers["/api/version"]
        state = await look(AdminApi.LLAMA_SWAP, answers)
        assert (plain(state.version), state.problems) == (CANNOT, ())


class TestVllm:
    async def test_awake(self):
        state = await look(AdminApi.VLLM, played_answers.vllm())
        assert (plain(state.version), plain(state.is_asleep)) == ("0.32.0", False)
        assert plain(state.is_paused) is False
        assert states(state) == {"tiny": ModelState.LOADED}
        assert plain(the_model(state, "tiny").context_length_tokens) == 1024
        assert state.problems == ()

    async def test_asleep_with_requests_that_no_gauge_shows(self):
        answers = played_answers.vllm(is_asleep=True, pending=True)
        state = await look(AdminApi.VLLM, answers)
        assert states(state) == {"tiny": ModelState.ASLEEP}
        assert plain(state.in_flight_requests) == 3

    async def test_paused(self):
        state = await look(AdminApi.VLLM, played_answers.vllm(is_paused=True))
        assert (plain(state.is_asleep), plain(state.is_paused)) == (False, True)

    async def test_without_development_mode_the_problem_names_the_flag_once(self):
        state = await look(AdminApi.VLLM, played_answers.vllm_without_dev_mode())
        assert (plain(state.is_asleep), plain(state.is_paused)) == (OFF, OFF)
        assert states(state) == {"tiny": OFF}
        (problem,) = state.problems
        assert "VLLM_SERVER_DEV_MODE=1" in problem.message

    async def test_a_release_without_pause_cannot_tell_it(self):
        answers = played_answers.vllm()
        del answers["/is_paused"]
        state = await look(AdminApi.VLLM, answers)
        assert (plain(state.is_asleep), plain(state.is_paused)) == (False, CANNOT)
        assert state.problems == ()

    async def test_a_load_of_0_counts_only_from_an_engine_that_has_counted(self):
        busy, idle = played_answers.vllm(pending=True), played_answers.vllm()
        told = []
        async with playing(idle) as engine, reader_of(AdminApi.VLLM) as reader:
            for answers in (idle, busy, idle, {}, idle):  # {}: restarted, perhaps with other flags
                engine.answers = answers
                state = await reader.read_admin_state(engine.url)
                told.append(plain(state.in_flight_requests))
        assert told == [OFF, 3, 0, MissingReason.SOURCE_UNREACHABLE, OFF]

    async def test_a_key_that_is_asked_for_is_a_lacking_permission(self):
        answers = {**played_answers.vllm(), "/v1/models": written({"error": "key"}, status=401)}
        state = await look(AdminApi.VLLM, answers)
        assert plain(state.models) is MissingReason.NO_PERMISSION
        assert plain(state.is_asleep) is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", -1),
        ("size", "1901824"),
        ("size", True),
        ("size", 10**400),
        ("size_vram", [1]),
        ("context_length", {}),
        ("expires_at", "soon"),
        ("expires_at", "0001-01-01T00:00:00Z"),  # Go's zero time
        ("expires_at", "2026-11-21T23:16:46"),  # in which zone?
        ("expires_at", 1_795_303_006),
    ],
)
async def test_a_field_of_another_type_costs_itself_alone(field, value):
    entry = {
        "name": "m",
        "size": 10,
        "size_vram": 5,
        "context_length": 100,
        "expires_at": "2026-11-21T23:16:46Z",
    }
    answers = {**played_answers.ollama(), "/api/ps": written({"models": [{**entry, field: value}]})}
    state = await look(AdminApi.OLLAMA, answers)
    told = facts(the_model(state, "m"))
    names = {"size": "memory", "size_vram": "accelerator", "context_length": "context"}
    unreadable = [name for name, each in told.items() if each is MissingReason.UNREADABLE]
    assert unreadable == [names.get(field, "expiry")]
    assert repr(field) in state.problems[0].message


@pytest.mark.parametrize(
    "name", [None, "", "a\nb", "a\u2028b", "x" * 257, 7, ["a"], "\ud800"], ids=ascii
)
async def test_a_model_without_a_usable_name_is_left_out_and_told(name):
    good = {"name": "good", "size": 1}
    answers = {
        **played_answers.ollama(),
        "/api/ps": written({"models": [{"name": name, "size": 2}, good]}),
        "/api/tags": written({"models": []}),
    }
    state = await look(AdminApi.OLLAMA, answers)
    assert states(state) == {"good": ModelState.LOADED}
    assert "no usable name" in state.problems[0].message
    assert state.problems[0].message.isascii()


async def test_a_model_that_is_listed_twice_counts_once():
    twice = [{"name": "m", "size": 1}, {"name": "m", "size": 2}]
    answers = {**played_answers.ollama(), "/api/ps": written({"models": twice})}
    state = await look(AdminApi.OLLAMA, answers)
    assert plain(the_model(state, "m").memory_bytes) == 1
    assert "listed twice" in state.problems[0].message


async def test_beyond_a_thousand_models_the_rest_is_left_out_and_told():
    many = [{"name": f"m{number}"} for number in range(1_500)]
    answers = {**played_answers.ollama("ps_none"), "/api/tags": written({"models": many})}
    state = await look(AdminApi.OLLAMA, answers)
    assert len(states(state)) == 1_000
    assert "1500 models" in state.problems[0].message


async def test_many_problems_are_cut_short():
    bad = [{"name": f"m{number}", "size": "?"} for number in range(30)]
    answers = {**played_answers.ollama("ps_none"), "/api/ps": written({"models": bad})}
    state = await look(AdminApi.OLLAMA, answers)
    assert len(state.problems) <= 11


@pytest.mark.parametrize("misdeed", [Misdeed.REDIRECT, Misdeed.CLOSE, Misdeed.CUT], ids=str)
async def test_one_path_that_misbehaves_does_not_blind_the_others(misdeed):
    answers = {**played_answers.vllm(), "/load": misdeed}
    state = await look(AdminApi.VLLM, answers)
    assert isinstance(state.in_flight_requests, Missing)
    assert plain(state.is_asleep) is False
    assert len(state.problems) == 1


async def test_a_redirect_to_a_path_that_loads_is_not_followed():
    async with (
        playing({"/api/ps": Misdeed.REDIRECT}) as engine,
        reader_of(AdminApi.OLLAMA) as reader,
    ):
        await reader.read_admin_state(engine.url)
    assert "GET /api/generate" not in engine.asked


def test_the_captures_are_whole():
    assert recorded("ollama-0.17.4/version.json").body.startswith(b"{")

"""What the admin state of an engine means to its owner."""

from dataclasses import replace

import pytest

from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import Fresh, Missing, MissingReason
from foresail.doctor.targets.admin_checks import check_admin

UNSEEN = Missing(reason=MissingReason.CANNOT_SEE, source="admin")


def known(value):
    return Fresh(value=value, observed_timestamp_seconds=1.0, source="admin")


def model(name, state=ModelState.LOADED):
    return EngineModel(
        name=name,
        state=known(state),
        memory_bytes=UNSEEN,
        accelerator_memory_bytes=UNSEEN,
        stored_bytes=UNSEEN,
        context_length_tokens=UNSEEN,
        slots=UNSEEN,
        expiry_timestamp_seconds=UNSEEN,
    )


def engine(*models, api=AdminApi.VLLM):
    return EngineAdminState(
        api=api,
        base_url="http://e",
        version=known("1"),
        models=known(models),
        is_asleep=known(False),
        is_paused=known(False),
        in_flight_requests=UNSEEN,
        serves_metrics=UNSEEN,
        problems=(),
    )


def told(state, *models):
    return [
        (each.status.value, each.kind.value, each.message)
        for each in check_admin(state, models=models)
    ]


@pytest.mark.parametrize(
    ("api", "has", "wanted"),
    [
        pytest.param(AdminApi.VLLM, "tiny", "tiny", id="same name"),
        pytest.param(
            AdminApi.OLLAMA, "tiny:latest", "tiny", id="the latest tag goes without saying"
        ),
        pytest.param(AdminApi.OLLAMA, "hub:80/tiny:latest", "hub:80/tiny", id="a port is no tag"),
        pytest.param(AdminApi.LLAMA_CPP, "a.gguf", "tiny", id="it answers to any name"),
    ],
)
def test_a_model_that_is_there_is_no_finding(api, has, wanted):
    assert told(engine(model(has), api=api), wanted) == []


def test_a_model_that_is_not_there_is_a_problem():
    assert told(engine(model("b"), model("a"), api=AdminApi.OLLAMA), "a:latest", "c:7b") == [
        ("problem", "no_model", "it has no model 'a:latest'; it has a, b"),
        ("problem", "no_model", "it has no model 'c:7b'; it has a, b"),
    ]


def test_of_many_models_a_few_are_named():
    many = [model(f"m{number}") for number in range(9)]
    assert told(engine(*many), "x") == [
        ("problem", "no_model", "it has no model 'x'; it has m0, m1, m2, m3, m4 and 4 more")
    ]


def test_a_model_that_could_not_be_loaded_is_a_problem():
    swap = engine(model("big", ModelState.FAILED), api=AdminApi.LLAMA_SWAP)
    assert told(swap, "big") == [
        ("problem", "no_model", "its model 'big' failed when it was loaded last")
    ]


def test_a_sleeping_engine_is_told_once_though_it_is_paused_as_well():
    state = replace(engine(), is_asleep=known(True), is_paused=known(True))
    assert [kind for _, kind, _ in told(state)] == ["asleep"]
    assert [kind for _, kind, _ in told(replace(engine(), is_paused=known(True)))] == ["paused"]


def test_what_it_does_not_tell_is_no_finding():
    silent = replace(engine(), models=UNSEEN, is_asleep=UNSEEN, is_paused=UNSEEN)
    assert told(silent, "tiny") == []

"""What the snapshot tells of one engine: every capture, two versions at once, doubt with its reason."""

import pytest

from collector.model.contract import SleepState
from collector.model.reading import Fresh, Missing, MissingReason, Stale
from collector.model.replica import EngineKind, ReplicaState
from collector.model.snapshot import Problem
from support.collector_worlds import (
    CAPTURES,
    LLAMA,
    VLLM,
    answered,
    capture,
    failed,
    gateway_page,
    make_catalogue,
    make_replica,
    make_service,
    snapshot_of,
)
from support.written_pages import page_text

OLD_VLLM = "vllm-0.8.5.post1"
REPLICAS = (make_replica(),)


def engine_of(*, kind, text, at=100.0, previous=None, version=None, replicas=REPLICAS):
    snapshot = snapshot_of(
        answered("r1", text, at=at) if text is not None else failed("r1", at=at),
        at=at,
        catalogue=make_catalogue(make_service(engine=kind)),
        replicas=replicas,
        previous=previous,
        versions={} if version is None else {"r1": version},
    )
    return snapshot.replicas[0].engine, snapshot


def shown(reading):
    """The value; of a histogram how many; or why there is none."""
    if isinstance(reading, Missing):
        return reading.reason
    return getattr(reading.value, "total", reading.value)


def known(engine):
    """{field: what is shown} of everything that has a value, but the settings' digest."""
    readings = {name: getattr(engine, name) for name in engine.__slots__ if name != "config_hash"}
    return {name: shown(each) for name, each in readings.items() if not isinstance(each, Missing)}


def vllm(*, length=0, abort=0, rejected=0, waiting=(0, 0), **told):
    """The fields every page of vLLM 0.32 has; `waiting` is None while it sleeps."""
    by_reason = {"capacity": waiting[0], "deferred": waiting[1]} if waiting else None
    latencies = {"end_to_end_latency": length + abort, "queue_time": length + abort}
    return {
        "sleep_state": SleepState.AWAKE,
        "kv_capacity_tokens": 2_097_152,
        "preemptions_total": 0,
        "prefix_cache_hit_tokens_total": 0,
        "failed_requests_total": 0,
        "finished_requests_by_reason": {
            "stop": 0, "length": length, "abort": abort, "error": 0, "repetition": 0,
        },
        "rejected_requests_by_reason": {"max_num_queued_reqs": rejected, "max_num_queued_tokens": 0},
        **({"waiting_requests_by_reason": by_reason} if by_reason else {}),
        **latencies,
        **told,
    }  # fmt: skip


def asleep(state, *, queried=0, ttft=0, itl=0, **told):
    return vllm(
        waiting=None,
        sleep_state=state,
        prefix_cache_queried_tokens_total=queried,
        time_to_first_token=ttft,
        inter_token_latency=itl,
        **told,
    )


V, L = (VLLM, EngineKind.VLLM), (LLAMA, EngineKind.LLAMA_CPP)
CAPTURED = {
    (*V, "metrics_admission_c16"): vllm(
        length=44, rejected=302, waiting=(2, 0), kv_capacity_tokens=1_048_576,
        kv_use_ratio=0.0004883408619216212, prefix_cache_queried_tokens_total=2895,
        time_to_first_token=48, inter_token_latency=2859,
    ),
    (*V, "metrics_after_sleep_modes"): vllm(
        length=788, abort=1, kv_use_ratio=0, preemptions_total=1,
        prefix_cache_queried_tokens_total=46823, time_to_first_token=789, inter_token_latency=51205,
    ),
    (*V, "metrics_asleep_3_requests_pending"): asleep(
        SleepState.ASLEEP_LEVEL_1, length=776, queried=46770, ttft=776, itl=48888
    ),
    (*V, "metrics_asleep_l1"): asleep(SleepState.ASLEEP_LEVEL_1),
    (*V, "metrics_asleep_l2"): asleep(SleepState.ASLEEP_LEVEL_2),
    (*V, "metrics_idle"): vllm(
        kv_use_ratio=0, prefix_cache_queried_tokens_total=0, time_to_first_token=0,
        inter_token_latency=0,
    ),
    (*V, "metrics_kvtight_c16"): vllm(
        length=60, waiting=(9, 0), kv_use_ratio=1, kv_capacity_tokens=1536, preemptions_total=49,
        prefix_cache_queried_tokens_total=4038, time_to_first_token=67, inter_token_latency=18491,
    ),
    (*V, "metrics_load_c64"): vllm(
        length=648, waiting=(60, 0), kv_use_ratio=0.00024415552707079957,
        prefix_cache_queried_tokens_total=39304, time_to_first_token=652, inter_token_latency=40941,
    ),
    (*L, "metrics_idle"): {"prefix_cache_hit_tokens_total": 0},
    (*L, "metrics_load_c1"): {"prefix_cache_hit_tokens_total": 26},
    (*L, "metrics_load_c8"): {"prefix_cache_hit_tokens_total": 47},
    (*L, "metrics_after"): {"prefix_cache_hit_tokens_total": 21},
    (*L, "metrics_asleep"): {"prefix_cache_hit_tokens_total": 0},
}  # fmt: skip
WRITTEN = {
    ("sglang-0.5.23", EngineKind.SGLANG): {
        "kv_use_ratio": 0.75, "kv_capacity_tokens": 65536, "preemptions_total": 6,
        "prefix_cache_queried_tokens_total": 1000, "prefix_cache_hit_tokens_total": 300,
        "time_to_first_token": 20, "queue_time": 10,
    },
    ("tensorrt_llm-1.0", EngineKind.TENSORRT_LLM): {
        "kv_use_ratio": 0.5, "failed_requests_total": 1, "time_to_first_token": 10,
        "finished_requests_by_reason": {"stop": 9},
    },
    ("triton-2.50", EngineKind.TRITON): {"kv_use_ratio": 0.4, "failed_requests_total": 3},
    ("lmdeploy-0.18.0", EngineKind.LMDEPLOY): {
        "kv_use_ratio": 0.9, "prefix_cache_queried_tokens_total": 400, "time_to_first_token": 10,
        "inter_token_latency": 10, "finished_requests_by_reason": {"stop": 5},
    },
    ("tgi-3.0", EngineKind.TGI): {
        "kv_capacity_tokens": 32000, "failed_requests_total": 4, "queue_time": 10,
    },
    (OLD_VLLM, EngineKind.VLLM): {
        "kv_use_ratio": 0.5, "preemptions_total": 7, "prefix_cache_queried_tokens_total": 400,
        "prefix_cache_hit_tokens_total": 100, "time_to_first_token": 10, "inter_token_latency": 10,
        "end_to_end_latency": 10, "queue_time": 10,
        "finished_requests_by_reason": {"stop": 8, "abort": 2},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "kind", "page"), CAPTURED, ids=[f"{key[1]}-{key[2]}" for key in CAPTURED]
)
def test_a_captured_page_gives_the_expected_view(folder, kind, page):
    engine, snapshot = engine_of(kind=kind, text=capture(folder, page))
    assert known(engine) == CAPTURED[folder, kind, page]
    assert snapshot.problems == ()


def test_no_capture_of_an_engine_is_left_out():
    found = {(f, path.stem) for f in (VLLM, LLAMA) for path in (CAPTURES / f).glob("*.prom")}
    assert found == {(folder, page) for folder, _, page in CAPTURED}


@pytest.mark.parametrize(("page", "kind"), WRITTEN, ids=[page for page, _ in WRITTEN])
def test_a_written_page_gives_the_expected_view(page, kind):
    engine, snapshot = engine_of(kind=kind, text=page_text(page))
    assert known(engine) == WRITTEN[page, kind]
    assert snapshot.problems == ()


def test_used_tokens_are_the_share_of_what_fits():
    engine, _ = engine_of(kind=EngineKind.VLLM, text=capture(VLLM, "metrics_kvtight_c16"))
    assert shown(engine.kv_used_tokens) == 1536
    asleep_one, _ = engine_of(kind=EngineKind.VLLM, text=capture(VLLM, "metrics_asleep_l1"))
    assert shown(asleep_one.kv_used_tokens) is MissingReason.ASLEEP


def test_the_settings_digest_changes_with_settings_and_not_with_what_was_measured():
    text = capture(VLLM, "metrics_load_c64")
    digests = {
        name: shown(engine_of(kind=EngineKind.VLLM, text=changed)[0].config_hash)
        for name, changed in {
            "same": text,
            "measured": text.replace('num_gpu_blocks="16384"', 'num_gpu_blocks="16000"'),
            "set": text.replace('enable_prefix_caching="True"', 'enable_prefix_caching="False"'),
        }.items()
    }
    assert digests["measured"] == digests["same"]
    assert digests["set"] != digests["same"]
    assert len(digests["same"]) == 16


RENAMED = page_text(OLD_VLLM)


@pytest.mark.parametrize(
    ("version", "latency"),
    [
        pytest.param("0.8.5.post1", 10, id="it-was-this-name-then"),
        pytest.param("0.32.0", MissingReason.SERIES_ABSENT, id="it-is-not-now"),
        pytest.param(None, 10, id="nobody-can-say"),
    ],
)
def test_a_page_is_read_as_that_of_its_version(version, latency):
    engine, _ = engine_of(kind=EngineKind.VLLM, text=RENAMED, version=version)
    assert shown(engine.inter_token_latency) == latency


def test_two_versions_on_one_desk_are_read_each_as_its_own():
    snapshot = snapshot_of(
        answered("gateway", gateway_page(), at=100.0),
        answered("old", RENAMED, at=100.0),
        answered("new", capture(VLLM, "metrics_load_c64"), at=100.0),
        at=100.0,
        catalogue=make_catalogue(make_service(engine=EngineKind.VLLM)),
        replicas=(make_replica("old"), make_replica("new")),
        versions={"old": "0.8.5.post1", "new": "0.32.0"},
    )
    old, new = (view.engine for view in snapshot.replicas)
    assert [shown(old.version), shown(new.version)] == ["0.8.5.post1", "0.32.0"]
    assert [shown(old.inter_token_latency), shown(new.inter_token_latency)] == [10, 40941]
    assert [shown(old.kv_use_ratio), shown(new.kv_use_ratio)] == [0.5, 0.00024415552707079957]
    assert snapshot.problems == ()


@pytest.mark.parametrize("version", ["0.1.dev1+gabc", "0.7.0", "1.0", "nightly"])
def test_a_version_the_contract_does_not_cover_is_told_and_the_newest_assumed(version):
    engine, snapshot = engine_of(
        kind=EngineKind.VLLM, text=capture(VLLM, "metrics_load_c64"), version=version
    )
    assert shown(engine.version) == version
    assert shown(engine.inter_token_latency) == 40941
    assert snapshot.problems == (
        Problem(
            source="r1",
            message=f"engine version {version} is none that the contract of vllm covers; its page is "
            "read as that of 0.32",
        ),
    )


def test_what_was_known_of_an_engine_stays_as_stale():
    _, before = engine_of(kind=EngineKind.VLLM, text=capture(VLLM, "metrics_load_c64"))
    engine, _ = engine_of(kind=EngineKind.VLLM, text=None, at=105.0, previous=before)
    assert isinstance(engine.time_to_first_token, Stale)
    assert isinstance(engine.sleep_state, Stale)
    assert isinstance(before.replicas[0].engine.sleep_state, Fresh)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ReplicaState.LOADING, MissingReason.NOT_READ_YET),
        (ReplicaState.ASLEEP, MissingReason.ASLEEP),
        (ReplicaState.FAILED, MissingReason.SOURCE_UNREACHABLE),
    ],
)
def test_an_engine_that_is_not_asked_says_why(state, reason):
    engine, _ = engine_of(kind=EngineKind.VLLM, text=RENAMED, replicas=(make_replica(state=state),))
    assert {shown(getattr(engine, name)) for name in engine.__slots__} == {reason}

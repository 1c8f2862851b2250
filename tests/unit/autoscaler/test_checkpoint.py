"""A checkpoint is whole or not there, and decides the same anywhere."""

import hashlib
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np
import pytest

from autoscaler.checkpoint import (
    FORMAT_VERSION,
    decisions_json,
    load_checkpoint,
    save_checkpoint,
    state_json,
)
from autoscaler.decide import decide
from autoscaler.errors import CheckpointError
from autoscaler.model.action import Reason
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import (
    PROFILE_PLACES,
    BudgetSpending,
    ControllerState,
    DayProfile,
    ObjectiveTotals,
    Recommendation,
    ScaleFit,
    StepFit,
    StepRun,
    TokenGapTotals,
    VariantState,
    WorkSample,
)
from collector.model.contract import SleepState
from collector.model.histogram import Histogram
from collector.model.history import Signal
from collector.model.reading import Fresh
from collector.model.snapshot import EngineView
from support.builders import (
    CHAT,
    NOW,
    PRIOR,
    make_catalogue,
    make_history,
    make_replica_view,
    make_service,
    make_service_state,
    make_snapshot,
    make_view,
    stale,
    steady,
)

T = TypeVar("T")


def fresh(value: T) -> Fresh[T]:
    return Fresh(value=value, observed_timestamp_seconds=NOW, source="engine:vllm")


ENGINE = EngineView(
    version=fresh("0.32.0"),
    sleep_state=fresh(SleepState.ASLEEP_LEVEL_1),
    finished_requests_by_reason=fresh({"stop": 3.0, "abort": 1 / 3}),
    kv_use_ratio=stale(0.1),
    queue_time=fresh(Histogram(upper_bounds=(0.5,), counts=(1.0, 0.0), sum=0.25)),
)
ROOT = Path(__file__).resolve().parents[3]


def full_state() -> ControllerState:
    """A state in which every kind of memory holds something."""
    known = make_service_state(
        recommendations=(Recommendation(timestamp_seconds=NOW - 15, replicas=2),),
        scale_fit=ScaleFit(
            gram=(0.1, 1 / 3, 5e-324, 1e300, *(1.0,) * 11),
            moment=(0.1, 0.2, 0.3, 0.4, 1 / 3),
            weights=(-0.1, 0.2, 0.3, 0.4, 1 / 7),
            rows_total=41,
            error_rows=40.5,
            error_sum=-1.25,
            error_square_sum=3.5,
            covered_rows=33.3,
            spread_factor=1.1,
            last_timestamp_seconds=NOW - 30.0,
            day_profile=DayProfile(
                work=struct.pack("<f", 1 / 3) * PROFILE_PLACES,
                days=bytes(range(256)) * 5 + b"\xff" * (PROFILE_PLACES - 1280),
                next_bin=10**7,
            ),
        ),
        token_gap_totals=TokenGapTotals(token_gaps=1e6, token_gap_seconds=0.1 + 0.2),
        step_run=StepRun(
            replica_seconds=15.5,
            prompt_tokens=100.0,
            output_tokens=7.0,
            token_gaps=6.5,
            token_gap_seconds=1 / 3,
        ),
        objective_totals=ObjectiveTotals(seconds=NOW - 15.0, good=(1 / 3,), judged=(7.0,)),
        budgets=(BudgetSpending(bad=0.1, allowed=1 / 3, seconds=3600.5),),
        last_reason=Reason.STEADY,
    )
    variant = VariantState(
        probed_capacity=PRIOR,
        saturated_work_ratios=(0.9,),
        unsaturated_work_ratios=(0.1,),
        lead_time_seconds=(12.25,),
        footprint_bytes=(2**40 + 1,),
        step_fit=StepFit(
            gram=(1.0, 0.1, 1 / 3, 2.0, 5e-324, 1e300, 0.0, 4.0, 5.0, 6.0),
            moment=(0.1, 0.2, 1 / 3, 0.0),
            rows=31.5,
            is_kv_told=True,
            least_step_seconds=0.0123,
            rejected_rows=3,
        ),
        consecutive_start_failures=2,
        last_start_failure_timestamp_seconds=NOW - 5.0,
    )
    sample = WorkSample(
        observed_timestamp_seconds=NOW - 15,
        prompt_tokens_total=10.0,
        output_tokens_total=20.0,
        is_saturated=True,
        run_seconds=15.25,
        run_prompt_tokens=3.0,
        run_output_tokens=1 / 3,
    )
    return ControllerState(
        services={CHAT: known}, variants={CHAT: {"small": variant}}, replicas={"r1": sample}
    )


def checkpoint(*, now: float = NOW) -> Inputs:
    return Inputs(
        snapshot=make_snapshot(
            services=[make_view(held=stale(1.0)), make_view("büro")],
            replicas=[make_replica_view(memory_bytes=123.0, engine=ENGINE)],
        ),
        history=make_history({CHAT: steady(1 / 3), "büro": steady(0.1)}, uncovered_bins=(-2,)),
        state=full_state(),
        catalogue=make_catalogue(make_service(), make_service("büro")),
        now=now,
    )


def decision_bytes(given: Inputs) -> tuple[bytes, bytes]:
    decided = decide(
        snapshot=given.snapshot,
        history=given.history,
        catalogue=given.catalogue,
        state=given.state,
        now=given.now,
    )
    return decisions_json(decided.decisions), state_json(decided.next_state)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = checkpoint()
    save_checkpoint(tmp_path / "new" / "folder", checkpoint=saved)
    loaded = load_checkpoint(tmp_path / "new" / "folder")
    assert loaded.snapshot == saved.snapshot
    assert loaded.state == saved.state
    assert loaded.catalogue == saved.catalogue
    assert (loaded.now, loaded.history.services) == (NOW, (CHAT, "büro"))
    for name in Signal:
        for field in ("sums", "maxima", "covered_seconds"):
            before = getattr(saved.history.signals[name], field)
            assert np.array_equal(getattr(loaded.history.signals[name], field), before)


def test_a_snapshot_from_before_engines_were_looked_at_is_loaded(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, checkpoint=checkpoint())
    with np.load(path) as archive:
        document = json.loads(archive["document"].tobytes())
    for view in document["snapshot"]["replicas"]:
        del view["engine"]
    for pool in document["catalogue"]["pools"]:
        del pool["device"]
    rewritten(path, snapshot=document["snapshot"], catalogue=document["catalogue"])
    (view,) = load_checkpoint(tmp_path).snapshot.replicas
    assert view.engine == EngineView()
    assert view.memory_bytes == checkpoint().snapshot.replicas[0].memory_bytes


def test_what_was_loaded_decides_the_same_bytes(tmp_path: Path) -> None:
    saved = checkpoint()
    save_checkpoint(tmp_path, checkpoint=saved)
    assert decision_bytes(load_checkpoint(tmp_path)) == decision_bytes(saved)


DECIDES_ELSEWHERE = """
import sys
from pathlib import Path
from autoscaler.checkpoint import decisions_json, load_checkpoint, state_json
from autoscaler.decide import decide
given = load_checkpoint(Path(sys.argv[1]))
decided = decide(snapshot=given.snapshot, history=given.history, catalogue=given.catalogue,
                 state=given.state, now=given.now)
sys.stdout.buffer.write(decisions_json(decided.decisions) + b"\\n" + state_json(decided.next_state))
"""


@pytest.mark.parametrize("seed", ["1", "4711"])
def test_another_process_with_another_hash_seed_decides_the_same_bytes(
    tmp_path: Path, seed: str
) -> None:
    saved = checkpoint()
    save_checkpoint(tmp_path, checkpoint=saved)
    answer = subprocess.run(
        [sys.executable, "-c", DECIDES_ELSEWHERE, str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert answer.stdout == b"\n".join(decision_bytes(saved))


def test_equal_values_give_equal_files(tmp_path: Path) -> None:
    one = save_checkpoint(tmp_path / "a", checkpoint=checkpoint()).read_bytes()
    other = save_checkpoint(tmp_path / "b", checkpoint=checkpoint()).read_bytes()
    assert one == other


def test_canonical_json_is_sorted_and_tight() -> None:
    decisions, state = decision_bytes(checkpoint())
    for text in (decisions, state):
        assert (
            json.dumps(
                json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ).encode()
            == text
        )


def test_a_whole_number_as_time_decides_like_the_same_float(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint=checkpoint(now=int(NOW)))
    assert decision_bytes(load_checkpoint(tmp_path)) == decision_bytes(checkpoint(now=int(NOW)))


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, checkpoint=checkpoint())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_newer_checkpoint_replaces_the_older_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint=checkpoint())
    path = save_checkpoint(tmp_path, checkpoint=checkpoint(now=NOW + 15))
    assert load_checkpoint(tmp_path).now == NOW + 15
    assert list(tmp_path.iterdir()) == [path]


def rewritten(path: Path, **head: object) -> None:
    """The same checkpoint with other words in its document."""
    with np.load(path) as archive:
        members = dict(archive)
    document = {**json.loads(members["document"].tobytes()), **head}
    members["document"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez(file, **members)


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is none at .*start without one"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        pytest.param(
            {"format_version": 3}, "has format version 3, this program reads 2", id="newer"
        ),
        pytest.param(
            {"format_version": 1}, "has format version 1, this program reads 2", id="older"
        ),
        pytest.param({"format_name": "other"}, "its format is 'other'", id="foreign"),
        pytest.param({"now": "soon"}, "valid number.* at now", id="not-a-number"),
        pytest.param({"signals": ["noise"]}, "at signals.0", id="unknown-signal"),
        pytest.param(
            {"services": ["only-one"]}, "one row for each of 1 services", id="rows-differ"
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told(
    tmp_path: Path, head: dict[str, object], message: str
) -> None:
    rewritten(save_checkpoint(tmp_path, checkpoint=checkpoint()), **head)
    with pytest.raises(CheckpointError, match=message) as told:
        load_checkpoint(tmp_path)
    assert "\n" not in str(told.value)


def test_a_cut_file_is_told_wherever_it_is_cut(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, checkpoint=checkpoint())
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is cut off or no checkpoint"):
            load_checkpoint(tmp_path)


@pytest.mark.parametrize("position", [0.01, 0.2, 0.5, 0.8])
def test_a_flipped_byte_is_told_or_does_not_matter(tmp_path: Path, position: float) -> None:
    path = save_checkpoint(tmp_path, checkpoint=checkpoint())
    broken = bytearray(path.read_bytes())
    broken[int(len(broken) * position)] ^= 0xFF
    path.write_bytes(broken)
    with suppress(CheckpointError):
        assert decision_bytes(load_checkpoint(tmp_path)) == decision_bytes(checkpoint())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="text"),
        pytest.param(b"PK\x03\x04garbage", id="looks-like-an-archive"),
        pytest.param(b"\x80\x04K\x01.", id="pickle"),
    ],
)
def test_a_foreign_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "decide.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_a_lone_array_is_told(tmp_path: Path) -> None:
    with (tmp_path / "decide.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_an_archive_without_our_document_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "decide.npz", "w") as archive:
        archive.writestr("something.txt", "else")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"cannot write .*fix its permissions"):
        save_checkpoint(tmp_path / "file", checkpoint=checkpoint())


def test_a_value_that_is_no_number_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be saved"):
        save_checkpoint(tmp_path, checkpoint=checkpoint(now=float("nan")))
    assert list(tmp_path.iterdir()) == []


SAVES_FOR_EVER = """
import sys
from pathlib import Path
from dataclasses import replace
from autoscaler.checkpoint import load_checkpoint, save_checkpoint
folder = Path(sys.argv[1])
given = load_checkpoint(folder)
print("ready", flush=True)
while True:
    given = replace(given, now=given.now + 1)
    save_checkpoint(folder, checkpoint=given)
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint=checkpoint())
    before = NOW
    for _ in range(5):
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVES_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert saver.stdout is not None
        assert saver.stdout.readline() == b"ready\n"
        while load_checkpoint(tmp_path).now < before + 3:
            os.sched_yield()
        saver.send_signal(signal.SIGKILL)
        saver.wait()
        saver.stdout.close()
        before = load_checkpoint(tmp_path).now
    assert before >= NOW + 15
    save_checkpoint(tmp_path, checkpoint=checkpoint(now=before + 1))
    assert [each.name for each in tmp_path.iterdir()] == ["decide.npz"]


def shape(kind: type) -> dict[str, dict[str, str]]:
    """Fields and defaults of a state, and of what it is made of."""
    found: dict[str, dict[str, str]] = {}
    kinds = [kind]
    while kinds:
        each = kinds.pop()
        if each.__name__ not in found:
            found[each.__name__] = {field.name: repr(field.default) for field in fields(each)}
            hints = [part for hint in get_type_hints(each).values() for part in parts(hint)]
            kinds += [part for part in hints if isinstance(part, type) and is_dataclass(part)]
    return found


def parts(hint: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield hint
    for each in get_args(hint):
        yield from parts(each)


def test_a_state_of_another_shape_has_another_format_version() -> None:
    """What another build wrote would be taken for a state of now. Only fields with a default may be added
    under the same version: then the digest is renewed here, and nothing else."""
    text = json.dumps(shape(ControllerState), sort_keys=True)
    text = text.replace(repr(MISSING), "required")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert (FORMAT_VERSION, digest) == (2, "25ac00fb2222")

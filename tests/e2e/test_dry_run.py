"""Dry run: everything is seen, decided and recorded; no engine is started, stopped or cleaned up.

A whole desk of real processes. What a dry run leaves undone is done as soon as the catalogue says
`mode: active`.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoscaler.ledger import RecordKind, decoded_decision, read_records
from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Verdict
from support.desks import Desk, Streams, catalogue, desk, service, wait_until


def content(*, mode: str, min_replicas: int = 0) -> dict[str, object]:
    one = service(min_replicas=min_replicas, max_replicas=1, hold_timeout="50s")
    return catalogue({"chat": one}, mode=mode)


async def decided(it: Desk, *, direction: Direction, verdict: Verdict) -> None:
    """Returns once the ledger has such a decision."""

    async def is_there() -> bool:
        return (direction, verdict) in recorded(it)

    await wait_until(is_there, what=lambda: f"{direction} {verdict} in {recorded(it)}")


def recorded(it: Desk) -> list[tuple[Direction, Verdict]]:
    """Every decision to change something that is in the ledger."""
    path = it.state_dir / "ledger.sqlite"
    records = read_records(path, kind=RecordKind.DECISION) if path.exists() else ()
    decisions = [decoded_decision(record.body) for record in records]
    return [
        (each.action.direction, each.verdict)
        for each in decisions
        if isinstance(each.action, Scale)
    ]


async def ticks(it: Desk, count: int) -> None:
    """Returns after so many further ticks of the controller."""
    state = await it.state()
    begin = state["tick"]["count"] if state else 0

    async def has_come() -> bool:
        now = await it.state()
        return now is not None and now["tick"]["count"] >= begin + count

    await wait_until(has_come, what=lambda: it.log("controller")[-1500:])


async def test_a_dry_run_starts_nothing_until_the_mode_is_active(tmp_path: Path) -> None:
    with desk(tmp_path, content(mode="dry_run")) as it:
        it.start("gateway")
        it.start("controller")

        async def is_routed() -> bool:
            state = await it.state()
            return state is not None and state["gateway"]["routes_version"] is not None

        await wait_until(is_routed, what=lambda: it.log("controller")[-1500:])
        held = asyncio.create_task(Streams(url=it.gateway_url).ask_once())
        await decided(it, direction=Direction.OUT, verdict=Verdict.DRY_RUN)
        await ticks(it, 3)
        state = await it.state()
        assert state is not None
        assert state["mode"] == "dry_run"
        assert state["services"][0]["replicas"] == []
        assert it.engine_pids() == {}
        assert not list((it.state_dir / "logs").glob("chat-*"))
        assert read_records(it.state_dir / "ledger.sqlite", kind=RecordKind.EFFECT) == ()
        assert set(recorded(it)) == {(Direction.OUT, Verdict.DRY_RUN)}
        assert not held.done()

        it.write_catalogue(content(mode="active"))
        assert await held is None  # the same request, answered whole
        assert (Direction.OUT, Verdict.ACT) in recorded(it)


@pytest.mark.slow
async def test_a_dry_run_keeps_the_engines_it_finds_and_their_traffic(tmp_path: Path) -> None:
    with desk(tmp_path, content(mode="active", min_replicas=1)) as it:
        it.start("gateway")
        first = it.start("controller")
        await it.wait_serving(1)
        engines = it.engine_pids()
        first.send_signal(signal.SIGKILL)
        first.wait()
        with foreign_engine(it) as foreign:
            it.write_catalogue(content(mode="dry_run"))  # nobody needs the engine any more
            dry = it.start("controller")
            await decided(it, direction=Direction.IN, verdict=Verdict.DRY_RUN)
            await ticks(it, 3)
            assert it.engine_pids() == {**engines, "chat-foreign-1": foreign.pid}
            assert it.events("controller", "dry_run_stop")
            assert await Streams(url=it.gateway_url).ask_once() is None
            dry.terminate()
            assert dry.wait(20) == 0
            assert foreign.poll() is None

            it.write_catalogue(content(mode="active"))
            it.start("controller")

            async def are_gone() -> bool:
                return foreign.poll() is not None and it.engine_pids() == {}

            await wait_until(are_gone, what=lambda: it.log("controller")[-1500:])


@contextmanager
def foreign_engine(it: Desk) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that looks like an engine of this desk and is in no journal."""
    marks = {
        "FORESAIL_STATE_DIR": str(it.state_dir),
        "FORESAIL_REPLICA_ID": "chat-foreign-1",
    }
    process = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)"],
        env={**os.environ, **marks},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()

"""SIGKILL of a controller at every journal boundary: the next one leaves exactly what is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from autoscaler.actuators.process import ProcessRunner
from autoscaler.execute import Executor
from autoscaler.ledger import Ledger, verify_ledger
from autoscaler.model.effect import TERMINAL
from collector.clock import SystemClock
from collector.model.ids import DecisionId
from collector.model.replica import ReplicaState
from support.execution import (
    World,
    base_environment,
    catalogue_of,
    make_decision,
    make_executor,
    scale_in,
    scale_out,
    silent_log,
    small_engine_variant,
)

TESTS = Path(__file__).parents[1]
BOUNDARIES = {
    1: "start prepared",
    2: "spawning",
    3: "spawned",
    4: "start verified",
    5: "ready told",
    11: "stop prepared",
    12: "draining",
    13: "terminating",
    14: "stop verified",
}


def run_until_killed(state_dir: Path, *, starts_file: Path, append: int, moment: str) -> None:
    child = subprocess.run(
        [
            sys.executable,
            TESTS / "support" / "killed_executor.py",
            state_dir,
            starts_file,
            str(append),
            moment,
        ],
        env={**base_environment(), "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert child.returncode == -9, child.stderr


async def reconcile(executor: Executor) -> None:
    """What the next decisions would do for a service that needs one replica."""
    serving = [
        each.replica_id
        for each in executor.registry.replicas()
        if each.state is ReplicaState.SERVING
    ]
    action = scale_in(*serving[1:]) if serving else scale_out()
    if len(serving) != 1:
        decision = make_decision(action, decision_id=DecisionId("dddddddd44444444"))
        await executor.submit(decision, now=0.0)
        await executor.wait_idle()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "append", BOUNDARIES, ids=[name.replace(" ", "_") for name in BOUNDARIES.values()]
)
async def test_a_killed_controller_leaves_no_orphan_and_no_double_start(
    tmp_path: Path, append: int, moment: str
) -> None:
    state_dir, starts_file = tmp_path / "state", tmp_path / "starts"
    run_until_killed(state_dir, starts_file=starts_file, append=append, moment=moment)

    world = World(catalogue=catalogue_of(small_engine_variant("--starts-file", str(starts_file))))
    runner = ProcessRunner(state_dir=state_dir, base_environment=base_environment())
    ledger = Ledger(state_dir / "ledger.db", clock=SystemClock(), log=silent_log())
    executor = make_executor(world, journal=ledger, runner=runner)
    try:
        await executor.recover()
        await executor.wait_idle()
        await reconcile(executor)

        serving = {
            each.replica_id
            for each in executor.registry.replicas()
            if each.state is ReplicaState.SERVING
        }
        assert len(serving) == 1
        assert set(runner.find_all()) == serving == world.router.routed
        started = starts_file.read_text().split()
        assert len(started) == len(set(started)), "a replica was started twice"
        assert all(entry.phase in TERMINAL for entry in ledger.latest_entries())
        assert verify_ledger(state_dir / "ledger.db").is_intact
    finally:
        await executor.close(stop_engines=True)
        ledger.close()
    assert runner.find_all() == {}

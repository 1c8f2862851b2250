"""SIGKILL of the controller at every journal boundary, with real engines and streams that run.

The catalogue asks for two replicas, then for one, and so on; each controller but the last kills
itself at its Nth append. Whatever the moment: no request fails, no engine is started twice or left
behind, and the ledger is whole.
"""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from autoscaler.ledger import RecordKind, decoded_entry, read_records, verify_ledger
from autoscaler.model.effect import EffectKind, Phase
from support.desks import ROOT, Desk, catalogue, desk, service, streaming, wait_until

KILLED = ROOT / "tests" / "support" / "killed_controller.py"
APPENDS_OF_A_START = 5  # decision and PREPARED, SPAWNING, SPAWNED, VERIFIED, outcome
APPENDS_OF_A_STOP = 4  # decision and PREPARED, DRAINING, TERMINATING, VERIFIED


def asking_for(replicas: int) -> dict[str, object]:
    return catalogue({"chat": service(min_replicas=replicas, max_replicas=replicas)})


async def killed_at(desk: Desk, *, number: int, moment: str) -> None:
    """Runs a controller until it is gone by its own hand."""
    process: subprocess.Popen[bytes] = desk.start("controller", str(number), moment, script=KILLED)

    async def is_gone() -> bool:
        return process.poll() is not None

    await wait_until(is_gone, what=lambda: f"kill {moment} append {number}; {tail(desk)}")
    assert process.returncode == -9, tail(desk)


def tail(desk: Desk) -> str:
    return desk.log("controller")[-1500:]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_no_kill_loses_a_request_or_an_engine(tmp_path: Path, moment: str) -> None:
    with desk(tmp_path, asking_for(1)) as it:
        it.start("gateway")
        first = it.start("controller")
        await it.wait_serving(1)
        first.kill()
        first.wait()
        async with streaming(it) as streams:
            for number in range(1, APPENDS_OF_A_START + 1):
                it.write_catalogue(asking_for(2))
                await killed_at(it, number=number, moment=moment)
                await settled(it, replicas=2)
                it.write_catalogue(asking_for(1))
                if number <= APPENDS_OF_A_STOP:
                    await killed_at(it, number=number, moment=moment)
                await settled(it, replicas=1)
        assert streams.failures == []
        assert streams.completed > 20
        assert_each_started_once(it)
        assert verify_ledger(it.state_dir / "ledger.sqlite").findings == ()


async def settled(desk: Desk, *, replicas: int) -> None:
    """Runs an ordinary controller until what is asked for is there, and ends it."""
    process = desk.start("controller")
    await desk.wait_serving(replicas)
    process.terminate()
    assert process.wait(20) == 0, tail(desk)


def assert_each_started_once(desk: Desk) -> None:
    records = read_records(desk.state_dir / "ledger.sqlite", kind=RecordKind.EFFECT)
    entries = [decoded_entry(record.body) for record in records]
    spawned = Counter(
        entry.replica_id
        for entry in entries
        if entry.kind is EffectKind.START and entry.phase is Phase.SPAWNED
    )
    assert max(spawned.values()) == 1
    for log in (desk.state_dir / "logs").glob("chat-*.log"):
        assert log.read_text().count("listening") <= 1, log

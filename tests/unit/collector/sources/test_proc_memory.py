"""Memory of processes: shared pages divided, children counted, silence is not zero."""

import os
from pathlib import Path

import pytest

from collector.clock import SystemClock, VirtualClock
from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import Fresh, Missing, MissingReason
from collector.sources.proc_memory import ProcessMemoryProbe
from support.builders import NOW

KIB = 1024
ONE = ReplicaId("r1")
UNIFIED, DISCRETE = (
    MemoryPool(name=PoolName(kind.value), kind=kind, capacity_bytes=1000, reserve_bytes=0)
    for kind in (PoolKind.UNIFIED, PoolKind.DISCRETE)
)


def add_process(
    proc: Path,
    pid: int,
    *,
    session: int,
    share_kib: int | None = None,
    resident_kib: int | None = None,
    state: str = "S",
) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    rest = " ".join(["0"] * 15)
    (folder / "stat").write_text(f"{pid} (a (b) c) {state} 1 {session} {session} {rest} 5 0 0\n")
    if share_kib is not None:
        (folder / "smaps_rollup").write_text(
            f"00-ff ---p [rollup]\nRss: 9 kB\nPss: {share_kib} kB\n"
        )
    if resident_kib is not None:
        (folder / "status").write_text(f"Name:\tx\nVmRSS:\t {resident_kib} kB\n")


def probe(proc: Path, *pids: int) -> ProcessMemoryProbe:
    return ProcessMemoryProbe(
        list_processes=lambda: [(ReplicaId(f"r{pid}"), pid) for pid in pids],
        list_pools=lambda: [UNIFIED, DISCRETE],
        clock=VirtualClock(NOW),
        proc=proc,
    )


def fresh(value: float) -> Fresh[float]:
    return Fresh(value=value, observed_timestamp_seconds=NOW, source="proc")


def test_a_replica_holds_what_its_whole_session_holds(tmp_path: Path) -> None:
    add_process(tmp_path, 1, session=1, share_kib=100)
    add_process(tmp_path, 2, session=1, share_kib=20)
    add_process(tmp_path, 3, session=3, share_kib=7)
    assert probe(tmp_path, 1, 3).replica_memory_bytes() == {
        "r1": fresh(120 * KIB),
        "r3": fresh(7 * KIB),
    }


def test_without_the_right_to_see_shares_the_resident_size_counts(tmp_path: Path) -> None:
    add_process(tmp_path, 1, session=1, resident_kib=50)
    assert probe(tmp_path, 1).replica_memory_bytes() == {"r1": fresh(50 * KIB)}


@pytest.mark.parametrize("state", ["gone", "Z", "unreadable"])
def test_a_process_that_cannot_be_read_is_missing_and_not_zero(tmp_path: Path, state: str) -> None:
    if state != "gone":
        add_process(tmp_path, 1, session=1, state="S" if state == "unreadable" else state)
    reading = probe(tmp_path, 1).replica_memory_bytes()[ONE]
    assert reading == Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="proc")


def test_the_hosts_available_memory_is_that_of_unified_pools_only(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  900 kB\nMemAvailable:  300 kB\n")
    assert probe(tmp_path).pool_available_bytes() == {
        "unified": fresh(300 * KIB),
        "discrete": Missing(reason=MissingReason.CANNOT_SEE, source="proc"),
    }


def test_without_meminfo_nothing_is_known(tmp_path: Path) -> None:
    reading = probe(tmp_path).pool_available_bytes()[UNIFIED.name]
    assert isinstance(reading, Missing)


def test_this_process_holds_memory_on_this_machine() -> None:
    real = ProcessMemoryProbe(
        list_processes=lambda: [(ONE, os.getsid(0))],
        list_pools=lambda: [UNIFIED],
        clock=SystemClock(),
    )
    available = real.pool_available_bytes()[UNIFIED.name]
    assert isinstance(available, Fresh)
    assert available.value > 10 * 2**20

"""Engine processes found in /proc by what they carry, and held by more than a pid.

In: the state directory whose engines are looked for. Out: `ProcessHandle`s (a pid with its start
time, so that a reused pid is never taken for the engine) and the members of a replica: its session
leader and all that leader has started. Used by `process` only. Must not start anything.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.model.ids import ReplicaId
from collector.procfs import (
    ProcessStat,
    read_own_environment,
    read_process_ids,
    read_process_stat,
)

REPLICA_VARIABLE: Final = "FORESAIL_REPLICA_ID"
STATE_DIR_VARIABLE: Final = "FORESAIL_STATE_DIR"


@dataclass(slots=True, kw_only=True)
class ProcessHandle:
    """One process, named for ever. Holds nothing open."""

    pid: int
    process_start_ticks: int
    ending: str | None = field(default=None, compare=False)  # how it ended; only a child tells

    def is_alive(self) -> bool:
        """Whether exactly this process still runs; a zombie does not."""
        stat = read_process_stat(self.pid)
        return stat is not None and self._is_of(stat) and stat.is_running

    async def wait_ended(self, *, timeout_seconds: float) -> bool:
        """True once the process has ended, False at the timeout. Reaps it when it is our child."""
        try:
            file = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            # Opened by number, so it is compared afterwards: from here on the number cannot move.
            if not self._is_same():
                return True
            has_ended = await _readable(file, timeout_seconds=timeout_seconds)
            if has_ended:
                self.ending = _reap(file) or self.ending
            return has_ended
        finally:
            os.close(file)

    def send(self, number: signal.Signals) -> None:
        """Signals exactly this process; nothing happens when it has gone."""
        with contextlib.suppress(ProcessLookupError):
            file = os.pidfd_open(self.pid)
            try:
                if self._is_same():
                    signal.pidfd_send_signal(file, number)
            finally:
                os.close(file)

    def _is_same(self) -> bool:
        stat = read_process_stat(self.pid)
        return stat is not None and self._is_of(stat)

    def _is_of(self, stat: ProcessStat) -> bool:
        return stat.start_ticks == self.process_start_ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A living process that belongs to a replica."""

    replica_id: ReplicaId
    handle: ProcessHandle
    group_id: int
    is_leader: bool  # of the session; the replica itself


def members(state_dir: Path) -> Iterator[Member]:
    """Every living process that carries a replica id of this state directory.

    A child that has dropped its environment is found by the session of a leader that has not.
    """
    stats = [stat for pid in read_process_ids() if (stat := read_process_stat(pid)) is not None]
    running = [stat for stat in stats if stat.is_running]
    carried = {stat.pid: _carried_id(stat.pid, state_dir=state_dir) for stat in running}
    for stat in running:
        replica_id = carried[stat.pid] or carried.get(stat.session_id)
        if replica_id is not None:
            yield Member(
                replica_id=replica_id,
                handle=ProcessHandle(pid=stat.pid, process_start_ticks=stat.start_ticks),
                group_id=stat.group_id,
                is_leader=stat.session_id == stat.pid and carried[stat.pid] is not None,
            )


def _carried_id(pid: int, *, state_dir: Path) -> ReplicaId | None:
    environment = read_own_environment(pid)
    if environment.get(STATE_DIR_VARIABLE) != str(state_dir):
        return None
    value = environment.get(REPLICA_VARIABLE)
    return ReplicaId(value) if value else None


async def _readable(file: int, *, timeout_seconds: float) -> bool:
    """True once the pidfd says that its process has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(file, tell)
    try:
        async with asyncio.timeout(timeout_seconds):
            await ended
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(file)
    return True


def _reap(file: int) -> str | None:
    """How our child ended, its zombie taken away; None for an adopted one (its parent reaps it)."""
    try:
        result = os.waitid(os.P_PIDFD, file, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return f"exit status {result.si_status}"
    return f"killed by {signal.Signals(result.si_status).name}"

"""Engine processes of this machine: started from command templates, found again, ended.

Adapter of the `EngineRunner` port. In: variants with a `ProcessTarget`. Out: processes in sessions
of their own that outlive the controller, write into their own log and carry their replica id in the
environment, by which the next controller finds them. Must not decide anything or keep a journal.
"""

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autoscaler.actuators.command import Launch, checked_launch
from autoscaler.actuators.engine_logs import EngineLogs
from autoscaler.actuators.probe import measure_costs
from autoscaler.actuators.proc import Member, ProcessHandle, members
from autoscaler.actuators.readiness import wait_until_ready
from autoscaler.errors import StartFailed, StopFailed
from autoscaler.ports import EngineHandle
from collector.model.catalogue import CapacityPrior, ProcessTarget, Variant
from collector.model.ids import ReplicaId, ServiceName
from collector.procfs import read_process_stat

_AFTER_KILL_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.2
_RESET_SIGNALS: Final = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What Python, or whoever started us, may have set to be ignored; children would inherit it."""


class ProcessRunner:
    """Runs the engines of one state directory."""

    def __init__(self, *, state_dir: Path, base_environment: Mapping[str, str]) -> None:
        """`base_environment` is the controller's own; engines get the harmless part of it."""
        self._state_dir = state_dir.resolve()
        self._base_environment = base_environment
        self._logs = EngineLogs(self._state_dir)
        self._children: dict[ReplicaId, ProcessHandle] = {}
        self._given_ports: deque[int] = deque(maxlen=64)

    def free_port(self) -> int:
        """A loopback port nobody listens on, other than the last 64 ones given."""
        while True:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = int(listener.getsockname()[1])
            if port not in self._given_ports:
                self._given_ports.append(port)
                return port

    async def spawn(
        self, *, replica_id: ReplicaId, service: ServiceName, variant: Variant, port: int
    ) -> EngineHandle:
        """A started process. Raises StartFailed.

        Does not give way to other tasks in between: a cancellation cannot leave a process unseen.
        """
        launch = checked_launch(
            _process_target(variant, replica_id=replica_id),
            replica_id=replica_id,
            port=port,
            state_dir=self._state_dir,
            base_environment=self._base_environment,
        )
        try:
            handle = self._started(launch, replica_id=replica_id)
        except OSError as error:
            raise StartFailed(
                f"{replica_id} of {service}: {launch.executable} cannot be started: {error.strerror}"
            ) from error
        self._children[replica_id] = handle
        return handle

    def find(self, replica_id: ReplicaId) -> EngineHandle | None:
        """The living session leader that carries this id, whoever spawned it."""
        return self.find_all().get(replica_id)

    def find_all(self) -> dict[ReplicaId, EngineHandle]:
        """Every living engine of this state directory; children without their leader are none."""
        leaders = [member for member in self._everybody() if member.is_leader]
        # A child may have opened a session of its own: the engine is the one that was there first.
        leaders.sort(key=lambda member: member.handle.process_start_ticks, reverse=True)
        return {member.replica_id: self._known(member) for member in leaders}

    async def wait_ready(self, *, base_url: str, handle: EngineHandle, variant: Variant) -> None:
        """Returns when the engine is healthy and has given one token. Raises StartFailed."""
        replica_id = self._replica_of(handle)
        await wait_until_ready(
            base_url=base_url,
            handle=handle,
            variant=variant,
            target=_process_target(variant, replica_id=replica_id),
            last_words=lambda: self.log_tail(replica_id),
        )

    async def probe(self, *, base_url: str, variant: Variant) -> CapacityPrior | None:
        """Measured cost of work; None when the engine cannot be probed. Takes a few seconds."""
        return await measure_costs(base_url=base_url, variant=variant)

    async def end(self, *, replica_id: ReplicaId, timeout_seconds: float) -> None:
        """SIGTERM to all that carries this id, SIGKILL at the timeout; returns when it is gone.

        Nothing happens when there is none. Raises StopFailed when a process survives its SIGKILL.
        """
        seen: dict[int, ProcessHandle] = {}
        for wait_seconds, number in (
            (timeout_seconds, signal.SIGTERM),
            (_AFTER_KILL_SECONDS, signal.SIGKILL),
        ):
            present = self._members(replica_id)
            seen.update({member.handle.pid: member.handle for member in present})
            _signal_all(present, number=number)
            if await self._all_gone(replica_id, seen=seen, timeout_seconds=wait_seconds):
                await self._reap(replica_id)
                return
        pids = ", ".join(str(pid) for pid, handle in seen.items() if handle.is_alive())
        raise StopFailed(
            f"{replica_id}: process {pids} is still there {_AFTER_KILL_SECONDS:g} s after SIGKILL; "
            "it hangs in the kernel: look at its driver, its disk or the kernel log"
        )

    def log_tail(self, replica_id: ReplicaId) -> str:
        """How the engine ended, if known, and the last line it wrote."""
        child = self._children.get(replica_id)
        line = self._logs.last_line(replica_id) or f"nothing in {self._logs.path(replica_id)}"
        return f"{child.ending}; {line}" if child is not None and child.ending else line

    def shorten_logs(self) -> None:
        """Keeps the log files within their bound; to be called now and then."""
        self._logs.shorten()

    def _started(self, launch: Launch, *, replica_id: ReplicaId) -> ProcessHandle:
        log = self._logs.prepare(replica_id, living=self.find_all())
        write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            launch.executable,
            launch.arguments,
            launch.environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), write, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_RESET_SIGNALS,
        )
        stat = read_process_stat(pid)  # our child: even when it has ended, it waits as a zombie
        if stat is None:
            raise StartFailed(f"{replica_id}: process {pid} vanished at its start")
        return ProcessHandle(pid=pid, process_start_ticks=stat.start_ticks)

    def _members(self, replica_id: ReplicaId) -> list[Member]:
        return [each for each in self._everybody() if each.replica_id == replica_id]

    def _everybody(self) -> list[Member]:
        """All that carries our variables, and our own children.

        For some microseconds after its start a process has no environment to be read.
        """
        found = list(members(self._state_dir))
        pids = {member.handle.pid for member in found}
        found += [
            Member(replica_id=replica_id, handle=child, group_id=child.pid, is_leader=True)
            for replica_id, child in self._children.items()
            if child.pid not in pids and child.is_alive()
        ]
        return found

    async def _all_gone(
        self, replica_id: ReplicaId, *, seen: dict[int, ProcessHandle], timeout_seconds: float
    ) -> bool:
        """Whether nothing of it is left in time. Adds to `seen` whoever turns up.

        A process on its way out has no environment any more to be found by, and yet lives for some
        moments: whoever was seen once is waited for by its handle.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    present = self._members(replica_id)
                    seen.update({member.handle.pid: member.handle for member in present})
                    living = [handle for handle in seen.values() if handle.is_alive()]
                    if not living:
                        return True
                    await living[0].wait_ended(timeout_seconds=_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            return False

    async def _reap(self, replica_id: ReplicaId) -> None:
        child = self._children.pop(replica_id, None)
        if child is not None:
            await child.wait_ended(timeout_seconds=_LOOK_AGAIN_SECONDS)

    def _known(self, member: Member) -> ProcessHandle:
        child = self._children.get(member.replica_id)
        return child if child == member.handle and child is not None else member.handle

    def _replica_of(self, handle: EngineHandle) -> ReplicaId:
        for known in (self._children, self.find_all()):
            for replica_id, each in known.items():
                if (each.pid, each.process_start_ticks) == (handle.pid, handle.process_start_ticks):
                    return replica_id
        return ReplicaId(f"pid-{handle.pid}")


def _process_target(variant: Variant, *, replica_id: ReplicaId) -> ProcessTarget:
    if isinstance(variant.target, ProcessTarget):
        return variant.target
    raise StartFailed(
        f"{replica_id}: variant {variant.name} is run by somebody else (target kind url); "
        "it is not started or stopped here"
    )


def _signal_all(present: list[Member], *, number: signal.Signals) -> None:
    """Signals the leader's whole group at once, and by itself whoever has left that group."""
    reached = set[int]()
    for member in present:
        if member.is_leader and member.handle.is_alive():
            os.killpg(member.handle.pid, number)
            reached.add(member.handle.pid)
    for member in present:
        if member.group_id not in reached:
            member.handle.send(number)

"""What each engine process holds in memory, and what the host could still give out.

In: which replica is which process (asked at every read), and the declared pools. Out: readings in
bytes. Adapter of the `MemoryProbe` port, for pools whose memory is the host's (`unified`); of
discrete memory it can see nothing and says so. Must not change anything.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from collector.clock import Clock
from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import Fresh, Missing, MissingReason, Number
from collector.procfs import PROC, read_process_ids, read_process_stat

_SOURCE: Final = "proc"
_KIB: Final = 1024


class ProcessMemoryProbe:
    """Memory by /proc. A replica is its leader and every process of the leader's session."""

    def __init__(
        self,
        *,
        list_processes: Callable[[], Iterable[tuple[ReplicaId, int]]],
        list_pools: Callable[[], Iterable[MemoryPool]],
        clock: Clock,
        proc: Path = PROC,
    ) -> None:
        """`list_processes` gives (replica, pid of its session leader) of the living ones."""
        self._list_processes = list_processes
        self._list_pools = list_pools
        self._clock = clock
        self._proc = proc

    def replica_memory_bytes(self) -> Mapping[ReplicaId, Number]:
        """What each replica holds now, shared pages divided among their users."""
        return {
            replica_id: self._reading(self._held_bytes(pids))
            for replica_id, pids in self.replica_process_ids().items()
        }

    def replica_process_ids(self) -> Mapping[ReplicaId, tuple[int, ...]]:
        """The running processes of each replica; none for one that has ended."""
        sessions = self._sessions()
        return {replica_id: sessions.get(pid, ()) for replica_id, pid in self._list_processes()}

    def pool_available_bytes(self) -> Mapping[PoolName, Number]:
        """What the host could give out without swapping, for each unified pool."""
        available = self.available_bytes()
        return {
            pool.name: available
            if pool.kind is PoolKind.UNIFIED
            else Missing(reason=MissingReason.CANNOT_SEE, source=_SOURCE)
            for pool in self._list_pools()
        }

    def available_bytes(self) -> Number:
        """What the host could give out without swapping."""
        return self._reading(_kib_field(self._proc / "meminfo", name="MemAvailable"))

    def _sessions(self) -> Mapping[int, tuple[int, ...]]:
        """{session id: its running processes}."""
        sessions: dict[int, tuple[int, ...]] = {}
        for pid in read_process_ids(self._proc):
            stat = read_process_stat(pid, proc=self._proc)
            if stat is not None and stat.is_running:
                sessions[stat.session_id] = (*sessions.get(stat.session_id, ()), pid)
        return sessions

    def _held_bytes(self, pids: tuple[int, ...]) -> int | None:
        """The sum over the processes that can be read; None when there is none."""
        held = [size for pid in pids if (size := self._process_bytes(pid)) is not None]
        return sum(held) if held else None

    def _process_bytes(self, pid: int) -> int | None:
        folder = self._proc / str(pid)
        share = _kib_field(folder / "smaps_rollup", name="Pss")
        return share if share is not None else _kib_field(folder / "status", name="VmRSS")

    def _reading(self, size_bytes: int | None) -> Number:
        if size_bytes is None:
            return Missing(reason=MissingReason.SOURCE_UNREACHABLE, source=_SOURCE)
        return Fresh(
            value=float(size_bytes),
            observed_timestamp_seconds=self._clock.timestamp_seconds(),
            source=_SOURCE,
        )


def _kib_field(path: Path, *, name: str) -> int | None:
    """The value of a `Name:   123 kB` line in bytes; None without the file, the right or the line."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) * _KIB
    return None

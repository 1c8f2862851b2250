"""Reading /proc of Linux: which processes there are, what they are part of, what they carry.

In: process ids. Out: values, or None for a process that has gone: between any two reads a process
may end, and that is no error. Used by the memory source and by the process actuator, which must not
know each other. Must not signal anything.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """Some of /proc/<pid>/stat. Source: proc_pid_stat(5)."""

    pid: int
    state: str  # R, S, D, Z, …
    group_id: int
    session_id: int  # the session leader has session_id == pid
    start_ticks: int  # clock ticks since boot; with the pid it names a process for ever

    @property
    def is_running(self) -> bool:
        """Whether it still executes anything: a zombie only waits to be reaped."""
        return self.state not in ("Z", "X", "x")


def read_process_ids(proc: Path = PROC) -> Iterator[int]:
    """Every process of this machine (of this pid namespace) now."""
    return (int(name) for name in os.listdir(proc) if name.isdecimal())


def read_process_stat(pid: int, *, proc: Path = PROC) -> ProcessStat | None:
    """The process as it is now; None when there is none."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name, in parentheses, may hold spaces and parentheses itself.
    fields = text[text.rindex(")") + 2 :].split()
    return ProcessStat(
        pid=pid,
        state=fields[0],
        group_id=int(fields[2]),
        session_id=int(fields[3]),
        start_ticks=int(fields[19]),
    )


def read_own_environment(pid: int, *, proc: Path = PROC) -> dict[str, str]:
    """The environment a process of this user was started with; empty when it cannot be told."""
    try:
        folder = proc / str(pid)
        if folder.stat().st_uid != os.geteuid():
            return {}
        content = (folder / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    pairs = (item.partition(b"=") for item in content.split(b"\0") if b"=" in item)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}

"""Proof that this controller, and no other, works on a state directory.

In: the state directory. Out: a held lock, an epoch that rises with every controller start, and
`check()`, asked right before every effect. Adapter of the `Fence` port. The epoch also goes into the
routing table, so that the gateway can refuse a late write of a controller that was replaced.

The lock is flock(2) on `controller.lock`: it ends with the process, whatever ends it. A child made
by a bare fork would inherit it, so workers must be started by `spawn` or `forkserver`.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from autoscaler.errors import NotLeader

_LOCK: Final = "controller.lock"
_EPOCH: Final = "controller.epoch"


class ControllerFence:
    """Leadership over one state directory, from construction to `release`."""

    def __init__(self, state_dir: Path) -> None:
        """Takes the lock and raises the epoch. Raises NotLeader when another controller has it."""
        self._state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self._lock: int | None = _locked_file(state_dir / _LOCK)
        try:
            self._epoch = _raised_epoch(state_dir / _EPOCH)
        except BaseException:
            self.release()
            raise

    @property
    def epoch(self) -> int:
        """1 for the first controller of this directory, one more for each that follows."""
        return self._epoch

    def check(self) -> None:
        """Returns if this process still leads. Raises NotLeader."""
        if self._lock is None:
            raise NotLeader(f"this controller has let go of {self._state_dir}; nothing is changed")
        if not _is_same_file(self._lock, self._state_dir / _LOCK):
            raise NotLeader(
                f"{self._state_dir / _LOCK} was removed or replaced: another controller may lead; "
                "nothing is changed, restart this one"
            )
        epoch = _read_epoch(self._state_dir / _EPOCH)
        if epoch != self._epoch:
            raise NotLeader(
                f"{self._state_dir / _EPOCH} says {epoch}, this controller has epoch {self._epoch}: "
                "another one leads; nothing is changed"
            )

    def release(self) -> None:
        """Lets another controller take over; harmless when repeated."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        """Nothing more to do; see `__init__`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Releases."""
        self.release()


def _locked_file(path: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise NotLeader(
                f"{path.parent} belongs to another controller (pid {owner}); stop that one or set "
                "another state directory"
            ) from error
        if _is_same_file(lock, path):  # it may have been replaced between open and flock
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock
        os.close(lock)


def _is_same_file(lock: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(lock)
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def _raised_epoch(path: Path) -> int:
    epoch = (_read_epoch(path) or 0) + 1
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w") as file:
        file.write(f"{epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return epoch


def _read_epoch(path: Path) -> int | None:
    """The epoch in the file; None when there is none yet. Raises NotLeader for anything else."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    if not text.isdecimal():
        raise NotLeader(
            f"{path} holds {text[:20]!r}, it must hold a whole number; write one above every epoch "
            "the gateway has seen, or remove the state directory"
        )
    return int(text)

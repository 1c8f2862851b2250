"""How far a backtest is, for a person who waits longer than two seconds.

In: how many replays, and each that is done. Out: a bar on stderr while that is a terminal, nothing
elsewhere. Never writes to stdout, which belongs to the result.
"""

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from foresail.backtest.cell import CellResult, Stage

WAIT_SECONDS = 2.0
_PERCENT = 100
_WORDS = {Stage.TUNING: "tuning", Stage.SCORING: "replaying"}


class ProgressBar:
    """A bar that appears after two seconds. Use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        """Standard error unless a console is given."""
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),  # the first replay may take a minute: something has to move
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._timer = threading.Timer(WAIT_SECONDS, self._bar.start)
        self._timer.daemon = True
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "ProgressBar":
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._bar.stop()

    def begin(self, stage: Stage, *, count: int) -> None:
        """So many replays of a stage begin."""
        self._bar.reset(self._task, total=count, description=_WORDS[stage])

    def advance(self, result: CellResult) -> None:
        """One of them is done."""
        del result
        self._bar.advance(self._task)

    def show(self, share_ratio: float) -> None:
        """So much of a walk through time is done, 0..1."""
        self._bar.update(
            self._task,
            total=_PERCENT,
            completed=round(_PERCENT * share_ratio),
            description="forecasting",
        )

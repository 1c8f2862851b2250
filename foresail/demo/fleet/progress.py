"""How far a fleet demo is, for a person who watches the terminal: a bar on stderr, nothing elsewhere."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from foresail.demo.fleet.race import Race
from foresail.demo.fleet.services import START_OF_DAY_SECONDS


class FleetProgress:
    """A bar with the clock of the replay and the GPU-hours of both sides. A context manager."""

    def __init__(self, *, end_seconds: float, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=end_seconds)

    def __enter__(self) -> "FleetProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, race: Race) -> None:
        """The race as it stands."""
        hours = ", ".join(
            f"{side.name} {sum(map(side.replay.gpu_hours, side.replay.services)):.1f} GPU-hours"
            for side in race.sides
        )
        words = f"{day_clock(race.now_seconds)}  {hours}"
        self.update(at_seconds=race.now_seconds, words=words)

    def update(self, *, at_seconds: float, words: str) -> None:
        """So far."""
        self._bar.update(self._task, completed=at_seconds, description=words)


def day_clock(at_seconds: float, *, start_seconds: float = START_OF_DAY_SECONDS) -> str:
    """The time of the recorded day: 09:30. `start_seconds`: at 0, since midnight."""
    minutes = int(start_seconds + at_seconds) // 60
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"

"""What the owner asks of a fleet demo, and whether it can be had: checked before anything is started.

In: flags. Out: `FleetOptions`, or a line that says which flag to change.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoscaler.replay.baselines.registry import BASELINES
from collector.errors import ConfigurationError
from foresail.demo.fleet.services import RECORDED_SECONDS
from foresail.demo.options import check_port, check_writable

DEFAULT_PEER: Final = "hpa_concurrency"
DEFAULT_SPEED: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What the owner asked for."""

    peer: str
    minutes: float | None  # of the owner's time; None: the whole recording
    speed_ratio: float  # recorded seconds per second
    headless: bool  # no page, and no pace: as fast as this machine replays
    json_path: Path | None
    port: int | None  # of the page; None: a free one
    seed: int = 0

    @property
    def replayed_seconds(self) -> float:
        """Of the recording."""
        if self.minutes is None:
            return RECORDED_SECONDS
        return min(RECORDED_SECONDS, 60.0 * self.minutes * self.speed_ratio)


def check_options(options: FleetOptions) -> None:
    """Returns when the peer is known, the file can be written and the port is free.

    Raises ConfigurationError.
    """
    if options.peer not in BASELINES:
        raise ConfigurationError(
            f"demo: --peer {options.peer}: there is no such policy; give one of: {', '.join(BASELINES)}"
        )
    if options.json_path is not None:
        check_writable(options.json_path)
    if options.port is not None and not options.headless:
        check_port(options.port)

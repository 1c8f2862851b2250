"""What the owner asks of a live fleet, and whether it can be had: checked before anything is started.

In: flags. Out: `LiveOptions`, or a line that says which flag to change.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.errors import ConfigurationError
from foresail.demo.fleet.live.plan import MAX_MINUTES
from foresail.demo.options import check_port, check_writable

DEFAULT_MINUTES: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What the owner asked for."""

    minutes: float  # of traffic
    headless: bool  # no page
    json_path: Path | None
    keep: bool  # the work folder
    port: int | None  # of the page; None: a free one
    seed: int = 0

    @property
    def duration_seconds(self) -> float:
        """Of traffic; the last answers come a little later."""
        return 60.0 * self.minutes


def check_live_options(options: LiveOptions) -> None:
    """Returns when there is a recording of that length, the file can be written and the port is free.

    Raises ConfigurationError.
    """
    if options.minutes > MAX_MINUTES:
        raise ConfigurationError(
            f"demo: --minutes {options.minutes:g}: a live fleet takes {MAX_MINUTES:g} at most; give less"
        )
    if options.json_path is not None:
        check_writable(options.json_path)
    if options.port is not None and not options.headless:
        check_port(options.port)

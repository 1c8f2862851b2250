"""Appends to day files until it is killed: history_writer.py FOLDER START_SECONDS.

One request per second, in steps of five minutes, so that a day passes every 288 steps. Writes the end
of each interval to stdout once the store has taken it.
"""

import sys
from pathlib import Path

from collector.history.day_files import DayFileHistory
from collector.model.history import Resolution, Signal
from collector.model.ids import ServiceName

STEP_SECONDS = 300.0
FINEST = Resolution(bin_seconds=600.0, keep_seconds=86400.0)
COARSER = (Resolution(bin_seconds=3600.0, keep_seconds=20 * 86400.0),)
CHAT = ServiceName("chat")


def opened(folder: Path, *, reports: list[str]) -> DayFileHistory:
    """The store as the writer opens it."""
    return DayFileHistory(folder, finest=FINEST, coarser=COARSER, report=reports.append)


def write_for_ever(folder: Path, *, start_seconds: float) -> None:
    store = opened(folder, reports=[])
    moment = start_seconds
    while True:
        store.append(
            start_timestamp_seconds=moment,
            end_timestamp_seconds=moment + STEP_SECONDS,
            increases={(Signal.ARRIVED_REQUESTS, CHAT): STEP_SECONDS},
            levels={(Signal.PENDING_REQUESTS, CHAT): 2.0},
        )
        moment += STEP_SECONDS
        sys.stdout.write(f"{moment}\n")
        sys.stdout.flush()
        if moment % 86400.0 == 0:
            store.tidy()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), start_seconds=float(sys.argv[2]))

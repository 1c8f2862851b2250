"""A `History` value to a .npz file and back, exactly: for replays, reports and other machines."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np

from collector.errors import PayloadError
from collector.model.history import History, Signal, SignalBins
from collector.model.ids import ServiceName

_FORMAT = 1
_PARTS = ("sums", "maxima", "covered_seconds")


def save_history(history: History, *, path: Path) -> None:
    """Writes the file whole or not at all. Raises OSError."""
    header = {
        "format": _FORMAT,
        "services": list(history.services),
        "bin_seconds": history.bin_seconds,
        "end_timestamp_seconds": history.end_timestamp_seconds,
        "signals": [signal.value for signal in history.signals],
    }
    arrays = {
        f"{signal.value}.{part}": getattr(bins, part)
        for signal, bins in history.signals.items()
        for part in _PARTS
    }
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load_history(path: Path) -> History:
    """The history that was saved. Raises OSError, and PayloadError when it is not such a file."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            return History(
                services=tuple(ServiceName(name) for name in header["services"]),
                bin_seconds=header["bin_seconds"],
                end_timestamp_seconds=header["end_timestamp_seconds"],
                signals={
                    Signal(name): SignalBins(**{part: arrays[f"{name}.{part}"] for part in _PARTS})
                    for name in header["signals"]
                },
            )
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise PayloadError(f"{path}: not a saved history of format {_FORMAT}: {error}") from error

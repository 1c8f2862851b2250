"""Cells to the payload of one record and back: names as JSON, numbers as float32, packed together.

A block says itself which services and signals it holds, so that every record can be read alone and
a signal that a later release adds is no new format. Signals that nobody measured take no room.
"""

import json
import zlib
from dataclasses import dataclass

import numpy as np

from collector.errors import PayloadError
from collector.history.cells import COVERED, PARTS, SIGNALS, Cells
from collector.model.history import Signal
from collector.model.ids import ServiceName

_LARGEST = float(np.finfo(np.float32).max)
_ORDER = "<f4"
MAX_UNPACKED_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some bins as they stand in a file."""

    cells: Cells
    covered_until_seconds: float  # up to here everything was appended when it was written


def packed_block(block: Block) -> bytes:
    """The payload of a record. Values are rounded to float32."""
    cells = block.cells
    told = [index for index in range(len(SIGNALS)) if cells.values[COVERED, index].any()]
    header = {
        "services": list(cells.services),
        "signals": [SIGNALS[index].value for index in told],
        "first_bin": cells.first_bin,
        "bin_count": cells.bin_count,
        "covered_until_seconds": block.covered_until_seconds,
    }
    values = np.clip(cells.values[:, told], -_LARGEST, _LARGEST).astype(_ORDER)
    return zlib.compress(json.dumps(header).encode() + b"\n" + values.tobytes(), 6)


def unpacked_block(payload: bytes) -> Block:
    """The block. Raises PayloadError when the payload is whole but means nothing here."""
    try:
        text, _, raw = _inflated(payload).partition(b"\n")
        header = json.loads(text)
        services = tuple(ServiceName(str(name)) for name in header["services"])
        names, first, count = header["signals"], int(header["first_bin"]), int(header["bin_count"])
        covered_until = float(header["covered_until_seconds"])
        told = np.frombuffer(raw, dtype=_ORDER).reshape(PARTS, len(names), len(services), count)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise PayloadError(f"a block of history cannot be read: {error}") from error
    known = {signal.value: SIGNALS.index(signal) for signal in Signal}
    values = np.zeros((PARTS, len(SIGNALS), len(services), count))
    for index, name in enumerate(names):
        if name in known:  # another release may keep more
            values[:, known[name]] = np.nan_to_num(told[:, index])
    cells = Cells(services=services, first_bin=first, values=values)
    return Block(cells=cells, covered_until_seconds=covered_until)


def _inflated(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(payload, MAX_UNPACKED_BYTES)
    if not inflater.eof:
        raise ValueError(f"it is cut, or unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return content

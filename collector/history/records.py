"""Records in a file that only grows: each with its length and checksum, so that a cut write is seen.

In: payloads. Out: the payloads that are whole, and where damage is. A file is a marker of eight
bytes and records; a record is a mark, the payload's length and CRC-32 (little-endian), and the
payload. After damage reading goes on at the next mark. Knows nothing of what payloads mean.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

FILE_MARKER = b"FSHIST01"
_MARK = b"\xf5\x1ebn"
_HEAD = struct.Struct("<4sII")
MAX_PAYLOAD_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a file holds."""

    payloads: tuple[bytes, ...]
    is_ours: bool  # False: it begins with something else and holds no records
    sound_bytes: int  # up to the end of the last whole record; what follows is a cut write
    damaged_bytes: int  # between whole records
    cut_bytes: int  # after the last whole record


def scan_records(content: bytes) -> Scan:
    """Every whole record of a file. Raises nothing."""
    if not content.startswith(FILE_MARKER):
        # A write that was cut within the marker has lost nothing.
        is_ours = FILE_MARKER.startswith(content)
        return Scan(
            payloads=(), is_ours=is_ours, sound_bytes=0, damaged_bytes=0, cut_bytes=len(content)
        )
    payloads: list[bytes] = []
    position = sound = len(FILE_MARKER)
    damaged = 0
    while position < len(content):
        payload = _payload_at(content, position)
        if payload is None:
            following = content.find(_MARK, position + 1)
            position = len(content) if following < 0 else following
            continue
        damaged += position - sound
        payloads.append(payload)
        position += _HEAD.size + len(payload)
        sound = position
    return Scan(
        payloads=tuple(payloads),
        is_ours=True,
        sound_bytes=sound,
        damaged_bytes=damaged,
        cut_bytes=len(content) - sound,
    )


def append_record(path: Path, payload: bytes) -> None:
    """Adds one record, making the file when it is not there.

    When the write fails, the file is cut back to what it was. Raises OSError. Not synced: after a
    loss of power the last half minute may be missing, and is then dropped as a cut write.
    """
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        content = record(payload) if size else FILE_MARKER + record(payload)
        try:
            _write_whole(file, content)
        except OSError:
            file.truncate(size)
            raise


def replace_records(path: Path, payloads: Sequence[bytes]) -> None:
    """Makes the file hold exactly these records, whole or not at all, durably. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(FILE_MARKER + b"".join(record(each) for each in payloads))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def cut_tail(path: Path, *, sound_bytes: int) -> None:
    """Shortens the file to its whole records. Raises OSError."""
    os.truncate(path, sound_bytes)


def sync_folder(folder: Path) -> None:
    """Makes renames and deletions in the folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def record(payload: bytes) -> bytes:
    """The bytes of one record."""
    return _HEAD.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def _write_whole(file: FileIO, content: bytes) -> None:
    written = file.write(content)
    if written != len(content):
        raise OSError(f"only {written} of {len(content)} bytes fitted")


def _payload_at(content: bytes, position: int) -> bytes | None:
    """The payload of a whole record that begins here, or None."""
    body = position + _HEAD.size
    if body > len(content):
        return None
    mark, length, checksum = _HEAD.unpack_from(content, position)
    if mark != _MARK or length > MAX_PAYLOAD_BYTES or body + length > len(content):
        return None
    payload = content[body : body + length]
    return payload if zlib.crc32(payload) == checksum else None

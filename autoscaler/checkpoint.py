"""Saves everything `decide` reads to one file and loads it elsewhere, so that it decides the same again.

In: snapshot, history, state, catalogue, now. Out: `<folder>/decide.npz`: one JSON document and the
history's arrays in one archive, so that one rename replaces all of it and a SIGKILL at any moment
leaves the old file or the new one. The loop writes it after a tick and reads it at start; replay
reads it too. It must not be used as evidence: that is the ledger's part.
"""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from autoscaler.errors import CheckpointError
from autoscaler.model.decision import Decision
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from collector.model.catalogue import Catalogue
from collector.model.history import History, Signal, SignalBins
from collector.model.ids import ServiceName
from collector.model.snapshot import Snapshot

FILE_NAME = "decide.npz"
FORMAT_NAME = "foresail-checkpoint"
FORMAT_VERSION = 2
DOCUMENT = "document"  # archive member with the JSON text; the others are "<signal>.<field>"
BIN_FIELDS = ("sums", "maxima", "covered_seconds")

_UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
)
"""All that numpy, zipfile, json and pydantic raise for bytes that are no checkpoint."""

Arrays = Mapping[str, npt.NDArray[np.float64]]
Members = Mapping[str, npt.NDArray[Any]]  # Any: bytes of the document beside float64 bins


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The part of a checkpoint that is JSON."""

    format_name: str
    format_version: int
    now: float
    snapshot: Snapshot
    state: ControllerState
    catalogue: Catalogue
    services: tuple[ServiceName, ...]  # rows of the history's arrays
    bin_seconds: float
    end_timestamp_seconds: float
    signals: tuple[Signal, ...]


def save_checkpoint(folder: Path, *, checkpoint: Inputs) -> Path:
    """The file that was written, in full or not at all. Raises CheckpointError when it cannot be."""
    history = checkpoint.history
    document = _Document(
        format_name=FORMAT_NAME,
        format_version=FORMAT_VERSION,
        now=checkpoint.now,
        snapshot=checkpoint.snapshot,
        state=checkpoint.state,
        catalogue=checkpoint.catalogue,
        services=history.services,
        bin_seconds=history.bin_seconds,
        end_timestamp_seconds=history.end_timestamp_seconds,
        signals=tuple(sorted(history.signals)),
    )
    text = _canonical(_documents().dump_python(document, mode="json"))
    path = folder / FILE_NAME
    try:
        _write_whole(path, {DOCUMENT: np.frombuffer(text, dtype=np.uint8), **_arrays(history)})
    except OSError as error:
        raise CheckpointError(
            f"checkpoint: cannot write {path}: {error.strerror}; free space or fix its permissions"
        ) from error
    return path


def load_checkpoint(folder: Path) -> Inputs:
    """What was saved last. Raises CheckpointError for a missing, cut, foreign or newer file."""
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            text = archive[DOCUMENT].tobytes()
            document = _document(text, path=path)
            return _checkpoint(document, arrays=archive)
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint: there is none at {path}; start without one") from error
    except _UNREADABLE as error:
        raise CheckpointError(
            f"checkpoint: {path} is cut off or no checkpoint ({_one_line(error)}); move it away to "
            "start without it"
        ) from error


def decisions_json(decisions: tuple[Decision, ...]) -> bytes:
    """Canonical bytes of a tick's decisions: keys sorted, no spaces, UTF-8, no NaN."""
    return _canonical(_decisions().dump_python(decisions, mode="json"))


def state_json(state: ControllerState) -> bytes:
    """Canonical bytes of a state; equal states give equal bytes."""
    return _canonical(_states().dump_python(state, mode="json"))


def _canonical(value: object) -> bytes:
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except ValueError as error:  # NaN, an infinity, half of a surrogate pair
        raise CheckpointError(f"checkpoint: a value cannot be saved: {error}") from error


def _arrays(history: History) -> Arrays:
    return {
        f"{signal.value}.{name}": getattr(bins, name)
        for signal, bins in history.signals.items()
        for name in BIN_FIELDS
    }


def _write_whole(path: Path, members: Members) -> None:
    """Replaces `path` at once. There is one writer, the leader, so one name for the new file will do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        _write_archive(file, members)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    _sync_folder(path.parent)


def _write_archive(file: BinaryIO, members: Members) -> None:
    """An .npz archive with the time of its members fixed: equal values give equal bytes."""
    with zipfile.ZipFile(file, mode="w", compression=zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), mode="w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(members[name]))


def _document(text: bytes, *, path: Path) -> _Document:
    """The checked document. A file of another version is told from a broken one."""
    head = json.loads(text)
    version = head.get("format_version")
    if head.get("format_name") != FORMAT_NAME or not isinstance(version, int):
        raise ValueError(f"its format is {head.get('format_name')!r}, not {FORMAT_NAME}")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"checkpoint: {path} has format version {version}, this program reads "
            f"{FORMAT_VERSION}; use the version that wrote it, or move the file away"
        )
    return _documents().validate_json(text)


def _checkpoint(document: _Document, *, arrays: Arrays) -> Inputs:
    signals = {signal: _bins(signal, arrays=arrays) for signal in document.signals}
    rows = len(document.services)
    if any(len(bins.sums) != rows for bins in signals.values()):
        raise ValueError(f"its history does not have one row for each of {rows} services")
    history = History(
        services=document.services,
        bin_seconds=document.bin_seconds,
        end_timestamp_seconds=document.end_timestamp_seconds,
        signals=signals,
    )
    return Inputs(
        snapshot=document.snapshot,
        history=history,
        state=document.state,
        catalogue=document.catalogue,
        now=document.now,
    )


def _bins(signal: Signal, *, arrays: Arrays) -> SignalBins:
    sums, maxima, covered = (arrays[f"{signal.value}.{name}"] for name in BIN_FIELDS)
    if not sums.shape == maxima.shape == covered.shape:
        raise ValueError(f"the arrays of {signal.value} differ in shape")
    return SignalBins(sums=sums, maxima=maxima, covered_seconds=covered)


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{first['msg']} at {'.'.join(str(part) for part in first['loc'])}"
    return (str(error) or type(error).__name__).splitlines()[0]


# Adapters take milliseconds to build, and nothing may be built at import: made at first use.
@cache
def _documents() -> TypeAdapter[_Document]:
    return TypeAdapter(_Document)


@cache
def _decisions() -> TypeAdapter[tuple[Decision, ...]]:
    return TypeAdapter(tuple[Decision, ...])


@cache
def _states() -> TypeAdapter[ControllerState]:
    return TypeAdapter(ControllerState)

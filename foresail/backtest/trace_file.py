"""A trace out of a Parquet file: one row per request, checked before anything is replayed.

In: a path, or the word `example` for the bundled trace. Out: a `Trace`. First step of a backtest on
recorded requests; knows nothing of engines and policies. Raises ConfigurationError for a file that is
no trace, naming column, row and value.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # ships no types
from pyarrow import parquet

from autoscaler.replay.workload import Workload
from collector.errors import ConfigurationError

EXAMPLE: Final = "example"
EXAMPLE_SCALE: Final = 16
EXAMPLE_ENGINE: Final = "llama-3.1-8b-fp8-gb10"
"""With these the example takes three to four replicas on average; see data/README.md."""
DEFAULT_ENGINE: Final = "llama-3.1-8b-l40s-tp1"
ARRIVAL: Final = "arrival_s"
TOKENS: Final = ("prompt_tokens", "output_tokens")
MODEL: Final = "model"
MAX_TRACE_SECONDS: Final = 1000 * 86400.0
"""A column that reaches beyond counts from 1970, or in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The requests of one service."""

    name: str
    model: str | None  # None: the file names none
    workload: Workload
    note: str = ""  # what a reader of results has to know of it


def default_scale(source: str) -> int:
    """How many copies of a trace are meant where nobody says it."""
    return EXAMPLE_SCALE if source == EXAMPLE else 1


def default_engine(source: str | None) -> str:
    """The engine row that is meant where nobody says it; None: no trace."""
    return EXAMPLE_ENGINE if source == EXAMPLE else DEFAULT_ENGINE


def read_trace(source: str, *, model: str | None) -> Trace:
    """The requests of one model. `model` may be None where the file has one only."""
    if source == EXAMPLE:
        with as_file(files("foresail.backtest").joinpath("data/example.parquet")) as path:
            return _read(path, name=EXAMPLE, model=model)
    path = Path(source)
    return _read(path, name=path.stem, model=model)


def _read(path: Path, *, name: str, model: str | None) -> Trace:
    table = _table(path)
    chosen, table = _of_model(table, path=path, model=model)
    if not table.num_rows:
        raise ConfigurationError(f"{path}: holds no requests; give a trace with at least one")
    try:
        workload = Workload(
            arrival_seconds=table[ARRIVAL].to_numpy().astype(np.float64),
            prompt_tokens=table[TOKENS[0]].to_numpy().astype(np.int64),
            output_tokens=table[TOKENS[1]].to_numpy().astype(np.int64),
        )
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    _check_span(workload, path=path)
    return Trace(name=name, model=chosen, workload=workload)


def _check_span(workload: Workload, *, path: Path) -> None:
    if workload.end_seconds > MAX_TRACE_SECONDS:
        raise ConfigurationError(
            f"{path}: {ARRIVAL} reaches {workload.end_seconds:.6g} s, and {MAX_TRACE_SECONDS:g} s is the most; it "
            "counts seconds from the start of the trace: subtract the first arrival, or convert the unit"
        )


def _table(path: Path) -> pa.Table:
    try:
        schema = parquet.read_schema(path)
        columns = [each for each in (ARRIVAL, *TOKENS, MODEL) if each in schema.names]
        _check_columns(schema, path=path)
        table = parquet.read_table(path, columns=columns)
    except pa.ArrowException as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{path}: is no Parquet file: {said}") from error
    except OSError as error:
        wrong = "is a folder" if path.is_dir() else "cannot be read"
        wrong = wrong if path.exists() else "does not exist"
        raise ConfigurationError(
            f"{path}: {wrong}; give --trace a Parquet file, or `{EXAMPLE}`"
        ) from error
    for column in (ARRIVAL, *TOKENS):
        if table[column].null_count:
            row = int(pc.index(pc.is_null(table[column]), value=True).as_py())
            raise ConfigurationError(
                f"{path}: {column} has no value at row {row}; give one per request"
            )
    return table


def _check_columns(schema: pa.Schema, *, path: Path) -> None:
    for column in (ARRIVAL, *TOKENS):
        if column not in schema.names:
            raise ConfigurationError(
                f"{path}: has no column {column!r}; a trace has {ARRIVAL} (seconds, rising), "
                f"{', '.join(TOKENS)}, and may have {MODEL}; found: {', '.join(schema.names)}"
            )
        kind = schema.field(column).type
        is_number = pa.types.is_integer(kind) or (column == ARRIVAL and pa.types.is_floating(kind))
        if not is_number:
            wanted = "seconds as numbers" if column == ARRIVAL else "whole numbers"
            raise ConfigurationError(f"{path}: {column} is of type {kind}; it must be {wanted}")


def _of_model(table: pa.Table, *, path: Path, model: str | None) -> tuple[str | None, pa.Table]:
    if MODEL not in table.column_names:
        if model is not None:
            raise ConfigurationError(f"{path}: has no column {MODEL!r}; leave --model out")
        return None, table
    names = sorted(str(each) for each in pc.unique(table[MODEL]).to_pylist() if each is not None)
    if model is None and len(names) > 1:
        raise ConfigurationError(
            f"{path}: holds {len(names)} models; say one with --model: {', '.join(names)}"
        )
    if model is not None and model not in names:
        raise ConfigurationError(
            f"{path}: has no requests of {model!r}; --model may be: {', '.join(names)}"
        )
    if model is None:
        return (names[0] if names else None), table
    return model, table.filter(pc.equal(table[MODEL].cast(pa.string()), model))

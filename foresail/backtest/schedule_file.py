"""When each policy had how many replicas, as a Parquet file for other tools.

In: the replays of the table's rows. Out: columns time_seconds (of the trace), policy, ordered, ready;
a row per change. Only writes.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from pyarrow import parquet

from foresail.backtest.cell import CellResult


def write_schedule(path: Path, results: Mapping[str, CellResult]) -> None:
    """Writes or replaces the file. Raises OSError where it cannot."""
    rows = [
        (change.time_seconds, policy, change.ordered_replicas, change.ready_replicas)
        for policy, result in results.items()
        for change in result.schedule
    ]
    times, policies, ordered, ready = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = pa.table(
        {
            "time_seconds": pa.array(times, pa.float64()),
            "policy": pa.array(policies, pa.string()),
            "ordered": pa.array(ordered, pa.int32()),
            "ready": pa.array(ready, pa.int32()),
        }
    )
    parquet.write_table(table, path)

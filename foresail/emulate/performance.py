"""The bundled performance rows: model on accelerator, what steps cost, how long loading takes.

In: a row's name. Out: `PerformanceRow`. See data/README.md for where the figures are from.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files

from autoscaler.engine_model.costs import StepCosts, TabledCosts
from collector.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRow:
    """One model on one kind of accelerator."""

    name: str
    model: str
    gpu: str
    gpu_count: int  # per replica
    costs: StepCosts
    max_step_tokens: int
    kv_capacity_tokens: int
    weights_bytes: float
    kv_bytes_per_token: int
    gpu_memory_bytes: float  # of all GPUs of the replica
    gpu_power_watts: float  # board limit of one GPU
    wake_level_1_seconds: float
    wake_level_2_seconds: float


def read_row(name: str) -> PerformanceRow:
    """The row of that name. Raises ConfigurationError, naming all rows, when there is none."""
    rows = read_rows()
    if name not in rows:
        raise ConfigurationError(
            f"there is no performance row {name!r}; give one of: {', '.join(sorted(rows))}"
        )
    return rows[name]


def read_rows() -> dict[str, PerformanceRow]:
    """All rows by name, as the file orders them."""
    text = files("foresail.emulate").joinpath("data/performance.csv").read_text()
    return {row["name"]: _row(row) for row in csv.DictReader(text.splitlines())}


def _row(row: dict[str, str]) -> PerformanceRow:
    return PerformanceRow(
        name=row["name"],
        model=row["model"],
        gpu=row["gpu"],
        gpu_count=int(row["gpus_per_replica"]),
        costs=TabledCosts(
            floor=float(row["floor_ms"]),
            sequence=float(row["sequence_ms"]),
            context=float(row["context_ms_per_1k"]),
            prefill_base=float(row["prefill_base_ms"]),
            prefill=float(row["prefill_ms_per_1k"]),
            prefill_squared=float(row["prefill_ms_per_1k_squared"]),
        ).exact(),
        max_step_tokens=int(row["max_step_tokens"]),
        kv_capacity_tokens=int(row["kv_capacity_tokens"]),
        weights_bytes=float(row["weights_gb"]) * 1e9,
        kv_bytes_per_token=int(row["kv_bytes_per_token"]),
        gpu_memory_bytes=float(row["gpu_memory_gb"]) * 1e9,
        gpu_power_watts=float(row["gpu_power_watts"]),
        wake_level_1_seconds=float(row["wake_level_1_seconds"]),
        wake_level_2_seconds=float(row["wake_level_2_seconds"]),
    )

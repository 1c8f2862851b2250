"""`foresail backtest` from checked options to a report and the files that were asked for.

In: `Options`, `Wanted`. Out: the `Report`. Opens its files before it begins, so that an hour's work is not lost
to a folder that is not there.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoscaler.replay.workload import Workload
from collector.errors import ConfigurationError
from collector.model.ids import ServiceName
from foresail.backtest.forecast_only import (
    BIN_SECONDS,
    CountSeries,
    ForecastScore,
    score_forecasts,
    without_outages,
)
from foresail.backtest.options import Options
from foresail.backtest.page.document import page
from foresail.backtest.prepare import prepare
from foresail.backtest.progress import ProgressBar
from foresail.backtest.report import DAY_SECONDS, Report
from foresail.backtest.schedule_file import write_schedule
from foresail.backtest.study import study
from foresail.wiring.backtest import make_runner, read_demand

NEARLY_RATIO = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to run it, and what to write."""

    schedule_path: Path | None
    page_path: Path | None
    jobs: int
    dask_address: str | None


def run(options: Options, *, wanted: Wanted) -> Report:
    """The report, once all files are written."""
    for option, path in (("--schedule-out", wanted.schedule_path), ("--html", wanted.page_path)):
        _check_writable(option, path)
    question, subject = prepare(options, demand=read_demand(options))
    with ProgressBar() as progress:
        runner = make_runner(progress, jobs=wanted.jobs, dask_address=wanted.dask_address)
        found = study(question, run_cells=runner)
    report = Report(subject=subject, policies=found.rows, curves=found.curves)
    if wanted.schedule_path is not None:
        write_schedule(wanted.schedule_path, found.first)
    if wanted.page_path is not None:
        wanted.page_path.write_text(page(report, problem=question.problem, replays=found.first))
    return report


def score_forecast(options: Options) -> tuple[ForecastScore, ...]:
    """How well the demand would have been forecast. Raises ConfigurationError under two days."""
    demand = read_demand(options)
    workload = demand.workloads[0]
    if options.days is not None:
        workload = workload.between(0.0, options.days * DAY_SECONDS)
    series = count_series(workload, name=demand.model or demand.name)
    with ProgressBar() as progress:
        try:
            return score_forecasts(series, on_progress=progress.show)
        except ValueError as error:
            raise ConfigurationError(f"--forecast-only: {error}") from error


def count_series(workload: Workload, *, name: str) -> CountSeries:
    """Requests per bin of the forecaster; the last bin counts if the trace all but fills it."""
    bins = int(workload.end_seconds / BIN_SECONDS + NEARLY_RATIO)
    edges = np.arange(bins + 1) * BIN_SECONDS
    counts = np.histogram(workload.arrival_seconds, bins=edges)[0][np.newaxis].astype(np.float64)
    return CountSeries(
        services=(ServiceName(name),),
        counts=counts,
        is_measured=without_outages(counts),
        request_size=np.ones(1),
    )


def _check_writable(option: str, path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigurationError(
            f"{option} {path}: cannot be written; give a file in a folder that exists"
        )

"""Cost of a forecasting tick and of a refit; with a folder of traces, how good the forecasts are.

Run from the repository root: python benchmarks/bench_forecast.py [--traces FOLDER] [--write]
`--write` renews docs/benchmarks/forecast.md, its table of quality only together with `--traces`.
A trace is a Parquet file with columns arrival_s and model (one row per request), minute, model and
requests (one row per minute), or minute, model, tier and rel (one row per five minutes).
"""

import argparse
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from autoscaler.forecast.forecaster import observe, predict  # noqa: E402
from autoscaler.forecast.refit import refit  # noqa: E402
from autoscaler.forecast.refit_statsmodels import refit_slow  # noqa: E402
from autoscaler.forecast.rows import empty_state  # noqa: E402
from autoscaler.forecast.tasks import PEAK_TASK  # noqa: E402
from autoscaler.model.forecast_state import DemandBins, ForecastInputs  # noqa: E402
from collector.model.ids import ServiceName  # noqa: E402
from foresail.backtest.forecast_only import (  # noqa: E402
    BIN_SECONDS,
    CountSeries,
    ForecastScore,
    score_forecasts,
    table_rows,
    without_outages,
)

PAGE = ROOT / "docs/benchmarks/forecast.md"
SEED = 7
MAX_TICK_SECONDS = {2500: 0.2}
REFIT_SERVICES, REFIT_DAYS = 10_000, 14
CHUNK = 1000  # services per refit call: a worker need not hold all of them at once
MAX_REFIT_SECONDS = 600.0
RELATIVE_REQUESTS = 300.0  # per ten minutes, taken for a series that gives only relative demand
START, END = "<!-- quality -->", "<!-- end of quality -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    ticks = {count: tick_seconds(count) for count in MAX_TICK_SECONDS}
    refit_cpu, slow_cpu = refit_seconds(), slow_fit_seconds()
    cost = cost_table(ticks, refit_cpu=refit_cpu, slow_cpu=slow_cpu)
    print(cost)
    quality = None
    if given.traces is not None:
        quality = quality_table(given.traces)
        print(quality)
    if given.write:
        write_page(cost, quality=quality)
    is_held = all(ticks[count] <= limit for count, limit in MAX_TICK_SECONDS.items())
    return 0 if is_held and refit_cpu <= MAX_REFIT_SECONDS else 1


def demand(count: int, *, bins: int, bin_seconds: float, end: float) -> DemandBins:
    """Daily waves with Poisson noise."""
    generator = np.random.default_rng(SEED)
    seconds = end - (np.arange(bins, 0, -1) - 0.5) * bin_seconds
    wave = 1.0 + 0.5 * np.sin(2 * np.pi * seconds / 86400.0)
    mean = generator.uniform(0.1, 5.0, size=(count, 1)) * wave * bin_seconds
    return DemandBins(
        services=tuple(ServiceName(f"service-{row:05}") for row in range(count)),
        bin_seconds=bin_seconds,
        end_timestamp_seconds=end,
        per_second=generator.poisson(mean) / bin_seconds,
        covered_seconds=np.full((count, bins), bin_seconds),
        request_size=np.ones(count),
    )


def tick_seconds(count: int) -> float:
    """Median CPU seconds of observe + predict, warmed up over an hour of ticks."""
    end, ticks = 4 * 86400.0, 260 if count == 1 else 160
    models = refit(
        demand(count, bins=3 * 288, bin_seconds=300.0, end=end), task=PEAK_TASK, ahead_seconds=7200
    )
    whole = demand(count, bins=ticks + 130, bin_seconds=15.0, end=end + ticks * 15.0)
    state, times = empty_state(whole.services, task=PEAK_TASK), []
    horizons = np.full(count, 120.0)
    for tick in range(ticks):
        bins = DemandBins(
            services=whole.services,
            bin_seconds=15.0,
            end_timestamp_seconds=end + (tick + 1) * 15.0,
            per_second=whole.per_second[:, tick : tick + 131],
            covered_seconds=whole.covered_seconds[:, tick : tick + 131],
            request_size=whole.request_size,
        )
        inputs = ForecastInputs(task=PEAK_TASK, bins=bins, models=models)
        begin = time.process_time()
        state = observe(state, inputs=inputs)
        predict(state, inputs=inputs, horizon_seconds=horizons, quantiles=(0.5, 0.9))
        times.append(time.process_time() - begin)
    return float(np.median(times[len(times) // 2 :]))


def refit_seconds() -> float:
    """CPU seconds of one refit of all batched members for REFIT_SERVICES."""
    history = demand(CHUNK, bins=REFIT_DAYS * 288, bin_seconds=300.0, end=REFIT_DAYS * 86400.0)
    taken = cpu_of(lambda: refit(history, task=PEAK_TASK, ahead_seconds=7200))
    return taken * REFIT_SERVICES / CHUNK


def slow_fit_seconds() -> float:
    """CPU seconds of one Holt-Winters fit."""
    history = demand(4, bins=REFIT_DAYS * 288, bin_seconds=300.0, end=REFIT_DAYS * 86400.0)

    def fit_all() -> object:
        return refit_slow(
            history,
            order=history.services,
            ahead_seconds=7200,
            budget_cpu_seconds=60.0,
            cpu_seconds=time.process_time,
        )

    fit_all()  # the import
    return cpu_of(fit_all) / 4


def cpu_of(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def cost_table(ticks: dict[int, float], *, refit_cpu: float, slow_cpu: float) -> str:
    lines = ["| what | CPU | budget |", "|---|---:|---:|"]
    for count, seconds in ticks.items():
        limit = MAX_TICK_SECONDS[count]
        lines.append(
            f"| observe + predict, {count:,} service{'s' * (count > 1)} | {seconds * 1e3:.2f} ms | "
            f"{limit * 1e3:g} ms |"
        )
    lines.append(
        f"| refit of the batched members, {REFIT_SERVICES:,} services, {REFIT_DAYS} days of 5 min | "
        f"{refit_cpu:.1f} s | {MAX_REFIT_SECONDS:.0f} s |"
    )
    lines.append(
        f"| one Holt-Winters fit (statsmodels), {REFIT_DAYS} days | {slow_cpu:.2f} s | its own |"
    )
    return "\n".join(lines)


def quality_table(folder: Path) -> str:
    """Scores of every trace of two days or more in the folder, as Markdown."""
    lines: list[str] = []
    scores: list[tuple[str, ForecastScore]] = []
    for file in sorted(folder.glob("*.parquet")):
        series = read_series(file)
        if series is None or series.counts.shape[1] < 2 * 144:
            continue
        print(f"{file.stem} ...", file=sys.stderr)
        found = score_forecasts(series)
        scores += [(file.stem, each) for each in found]
        for number, cells in enumerate(table_rows(found)):
            if number or not lines:
                name = "trace" if not number else file.stem
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
            if not number and len(lines) == 1:
                lines.append("|---|---|---:" + "|---:" * (len(cells) - 2) + "|")
    return "\n".join([*lines, "", *misses(scores)])


def misses(scores: list[tuple[str, ForecastScore]]) -> list[str]:
    """What does not hold, in plain words."""
    worse = [
        f"* {trace}, {each.service}, {each.horizon_seconds / 60:.0f} min: {each.wape_ratio:.3f} "
        f"against {each.better_naive_wape_ratio:.3f} ({each.scored_bins} bins)"
        for trace, each in scores
        if each.wape_ratio > each.better_naive_wape_ratio
    ]
    off = [
        f"* {trace}, {each.service}, {each.horizon_seconds / 60:.0f} min: "
        f"{100 * each.p90_coverage_ratio:.1f} % ({each.scored_bins} bins)"
        for trace, each in scores
        if not 0.87 <= each.p90_coverage_ratio <= 0.93
    ]
    return [
        f"Of {len(scores)} rows, {len(worse)} have a median worse than the better naive forecast:",
        "",
        *worse,
        "",
        f"and {len(off)} a coverage of the P90 outside 87-93 %:",
        "",
        *off,
    ]


def read_series(file: Path) -> CountSeries | None:
    """Ten-minute counts per service; None for a file of another kind."""
    table = parquet.read_table(file).to_pandas()
    if {"arrival_s", "model"} <= set(table):
        seconds, amounts, names = table["arrival_s"], np.ones(len(table)), table["model"]
    elif {"minute", "requests"} <= set(table):
        seconds, amounts, names = table["minute"] * 60, table["requests"], table["model"]
    elif {"minute", "rel"} <= set(table):
        seconds, amounts = table["minute"] * 60, table["rel"] / 2
        names = table["model"].astype(str) + "/" + table["tier"].astype(str)
    else:
        return None
    services = tuple(ServiceName(str(name)) for name in sorted(names.astype(str).unique()))
    place = (seconds.to_numpy() // BIN_SECONDS).astype(int)
    whole = place.max() + (0 if "arrival_s" in table else 1)  # the last bin of requests is cut
    counts = np.zeros((len(services), whole))
    for row, name in enumerate(services):
        mine = (names.astype(str) == name).to_numpy() & (place < whole)
        np.add.at(counts[row], place[mine], np.asarray(amounts)[mine])
    size = np.full(len(services), 1.0)
    if "rel" in table:
        size = counts.mean(axis=1) / RELATIVE_REQUESTS
    return CountSeries(
        services=services,
        counts=counts,
        is_measured=without_outages(counts / size[:, None]),
        request_size=size,
    )


def write_page(cost: str, *, quality: str | None) -> None:
    """Renews the measured parts; the words around them are written by hand."""
    text = PAGE.read_text()
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    text = _replaced(text, begin="<!-- cost -->", end="<!-- end of cost -->", by=cost)
    text = re.sub(r"one core \([^)]*\)", f"one core ({machine})", text)
    if quality is not None:
        text = _replaced(text, begin=START, end=END, by=quality)
    PAGE.write_text(text)


def _replaced(text: str, *, begin: str, end: str, by: str) -> str:
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{by}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    sys.exit(main())

"""What past days foretell of demand at a lead time, beside what the last three quarters of an hour do.

Run from the repository root: python benchmarks/bench_lead_forecast.py [--traces FOLDER] [--write]
FOLDER holds traces (Parquet, one row per request: arrival_s, prompt_tokens, output_tokens); without
it only the made-up series are looked at. `--write` renews the table of
docs/benchmarks/lead_forecast.md, together with `--traces`.

The regression of `autoscaler.forecast.multiscale` is walked through each trace in bins of 15 s, without
its column of past days, with it as `autoscaler.forecast.day_profile` tells it, and with others in its
place. A forecast knows only what had come when it was made. Scored from the third day on, against the
mean of the minute at the lead time. Tests of a column's worth: log error and pinball loss out of sample,
and how much less error one fit in hindsight would have left.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from lead_series import (  # noqa: E402
    BIN_SECONDS,
    DAY_BINS,
    MADE_UP,
    Floats,
    Series,
    read_series,
)

from autoscaler.forecast.day_profile import BIN_SECONDS as PROFILE_BIN_SECONDS  # noqa: E402
from autoscaler.forecast.day_profile import (  # noqa: E402
    LEAST_GAIN,
    MIN_COVER_RATIO,
    change_ratio,
    told,
)
from autoscaler.forecast.lead_time import (  # noqa: E402
    ERROR_HALF_LIFE_ROWS,
    FLOOR_RATIO,
    MAX_SIGMA,
    MAX_SPREAD_FACTOR,
    MIN_ERROR_ROWS,
    P90_DEVIATES,
    P90_RATIO,
    PRIOR_SIGMA,
    ROWS_PER_SOLUTION,
    SPREAD_STEP,
    look_back_seconds,
)
from autoscaler.forecast.multiscale import (  # noqa: E402
    ANCHOR,
    HALF_LIFE_ROWS,
    MAX_SURPRISE,
    MIN_RATIO,
    PRIOR_ROWS,
    PRIOR_WEIGHTS,
    window_bins,
)
from autoscaler.model.state import DayProfile  # noqa: E402
from collector.model.catalogue import Control  # noqa: E402

PAGE = ROOT / "docs/benchmarks/lead_forecast.md"
START, END = "<!-- table -->", "<!-- end of table -->"
TRACES = (
    "o365_llama2_70b_7d",
    "o365_llama32_3b_7d",
    "servegen_m_large_d0-8",
    "servegen_m_mid_d0-8",
    "servegen_m_small_d0-8",
)
LEADS_SECONDS = (120.0, 420.0)
LEVEL_SECONDS, MINUTE_BINS = 60.0, 4
SCORED_FROM_BINS = 2 * DAY_BINS
MONDAY_TIMESTAMP_SECONDS = 4 * 86_400.0
"""Traces do not tell their weekdays; one of a week has its quiet days in the place of the weekend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Mean days, in bins of this width; which of them each weekday belongs to, from Monday on."""

    bin_seconds: int
    kinds: tuple[int, ...]


WEEKEND_APART = (0, 0, 0, 0, 0, 1, 1)
AS_BUILT = "as built"
COLUMNS: Mapping[str, Days | None] = {
    AS_BUILT: None,  # by the code that `decide` runs
    "of 1 min": Days(bin_seconds=60, kinds=WEEKEND_APART),
    "of 5 min": Days(bin_seconds=300, kinds=WEEKEND_APART),
    "all days alike": Days(bin_seconds=120, kinds=(0,) * 7),
    "each weekday apart": Days(bin_seconds=120, kinds=(0, 1, 2, 3, 4, 5, 6)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Over the scored minutes. Smaller is better, but for coverage: 0.9 is."""

    log_error: float  # root mean square of log(came / forecast)
    pinball: float  # mean loss of the P90, over the mean demand
    coverage: float
    hindsight: float  # root mean square error of one fit to all that is scored, over the anchor

    def over(self, plain: "Score") -> tuple[float, float, float]:
        """Ratios to another score: log error, pinball, hindsight."""
        return (
            self.log_error / plain.log_error,
            self.pinball / plain.pinball,
            self.hindsight / plain.hindsight,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    table = "\n".join(lines(given.traces))
    print(table)
    if given.write and given.traces is not None:
        head, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(f"{head}{START}\n{table}\n{END}{rest.partition(END)[2]}")
    return 0


def lines(folder: Path | None) -> list[str]:
    """The table: errors as they are, and what each further column makes of them."""
    found = [
        "| trace | lead | log error | pinball P90 | P90 coverage | " + " | ".join(COLUMNS) + " |",
        "|---|---:|---:|---:|---:" + "|---:" * len(COLUMNS) + "|",
    ]
    ratios = []
    for trace in TRACES if folder else ():
        told, each = rows_of(trace, read_series(folder / f"{trace}.parquet"))
        found += told
        ratios += each
    if ratios:
        means = np.exp(np.log(ratios).mean(axis=0))
        found.append("| geometric mean | | | | | " + " | ".join(map(cell, means)) + " |")
    for name, made in MADE_UP.items():
        found += rows_of(f"made up: {name}", made())[0]
    return found


def rows_of(name: str, series: Series) -> tuple[list[str], list[list[tuple[float, float, float]]]]:
    """The lines of one trace, and the ratios in them: per lead time one list over the columns."""
    told, ratios = [], []
    for lead in LEADS_SECONDS:
        plain, *others = (
            scored(series, column=each, lead_seconds=lead) for each in (None, *COLUMNS)
        )
        ratios.append([each.over(plain) for each in others])
        told.append(
            f"| {name} | {lead:.0f} s | {plain.log_error:.4f} | {plain.pinball:.4f} | "
            f"{100 * plain.coverage:.1f} % | {' | '.join(map(cell, ratios[-1]))} |"
        )
    return told, ratios


def cell(ratios: Sequence[float]) -> str:
    return " / ".join(f"{each:.3f}" for each in ratios)


def scored(series: Series, *, column: str | None, lead_seconds: float) -> Score:
    """The regression with the column, walked through the series."""
    ahead = round((lead_seconds + BIN_SECONDS) / BIN_SECONDS)  # as `assess` asks: and one bin
    asked = np.arange(len(series.work) - ahead - MINUTE_BINS)
    columns, prior = design(series, asked=asked, ahead=ahead, column=column)
    came = series.means(asked + ahead, asked + ahead + MINUTE_BINS)
    return Walk(columns=columns, came=came, prior=prior, delay=ahead + MINUTE_BINS).score()


def design(
    series: Series, *, asked: npt.NDArray[np.int64], ahead: int, column: str | None
) -> tuple[Floats, Floats]:
    """(columns, prior weights): the windows, the shorter like the next longer where not measured,
    then, if asked for, the change that past days saw; the last column is in the anchor's unit."""
    windows = window_bins(level_window_seconds=LEVEL_SECONDS, bin_seconds=BIN_SECONDS)
    means = [series.means(asked - width, asked) for width in windows]
    for index in range(len(means) - 2, -1, -1):
        means[index] = np.where(np.isnan(means[index]), means[index + 1], means[index])
    columns, prior = np.stack(means, axis=1), np.asarray(PRIOR_WEIGHTS)
    if column is None:
        return columns, prior
    days = COLUMNS[column]
    if days is None:
        change = built_changes(series, asked=asked, ahead=ahead)
    else:
        change = changes(series, asked=asked, ahead=ahead, days=days, anchor=windows[ANCHOR])
    return np.column_stack([columns, change * means[ANCHOR]]), np.append(prior, 0.0)


def built_changes(series: Series, *, asked: npt.NDArray[np.int64], ahead: int) -> Floats:
    """The column as `decide` makes it, tick by tick."""
    control, profile, found = Control(), DayProfile(), np.zeros(len(asked))
    look_back = round(look_back_seconds(control) / BIN_SECONDS)
    for now in asked:
        at = MONDAY_TIMESTAMP_SECONDS + now * BIN_SECONDS
        if at % PROFILE_BIN_SECONDS == 0:
            profile = told(
                profile,
                series=series.demand(max(0, now - look_back), now),
                control=control,
                end_timestamp_seconds=at,
                is_announced=lambda begin, end: False,
            )
        found[now] = change_ratio(
            profile,
            asked_timestamp_seconds=at,
            horizon_seconds=ahead * BIN_SECONDS,
            control=control,
        )
    return found


def changes(
    series: Series, *, asked: npt.NDArray[np.int64], ahead: int, days: Days, anchor: int
) -> Floats:
    """The same for other mean days, for all bins at once."""
    width = round(days.bin_seconds / BIN_SECONDS)
    expected = mean_days(series, days=days)
    known = np.concatenate([np.zeros(1), np.cumsum(~np.isnan(expected))])
    sums = np.concatenate([np.zeros(1), np.cumsum(np.nan_to_num(expected))])

    def mean(begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Floats:
        first = np.clip(begin // width, 0, len(expected))
        last = np.clip(-(-end // width), 0, len(expected))
        is_known = (last > first) & (known[last] - known[first] == last - first)
        count = np.maximum(1, last - first)
        return np.where(is_known, (sums[last] - sums[first]) / count, np.nan)

    there, then = mean(asked + ahead, asked + ahead + MINUTE_BINS), mean(asked - anchor, asked)
    ratio = np.divide(there, then, out=np.ones(len(asked)), where=then > 0)
    return np.clip(np.nan_to_num(ratio - 1.0), -1.0, MAX_SURPRISE)


def mean_days(series: Series, *, days: Days) -> Floats:
    """For every bin of every day what past days of its kind had there, or of any kind before the first
    of its own; NaN before the first of all."""
    width, per_day = round(days.bin_seconds / BIN_SECONDS), round(86_400 / days.bin_seconds)
    starts = np.arange(0, len(series.work) - width, width)
    measured = np.full(-(-len(starts) // per_day) * per_day, np.nan)
    seconds = series.covered[starts + width] - series.covered[starts]
    means = series.means(starts, starts + width)
    measured[: len(starts)] = np.where(seconds >= MIN_COVER_RATIO * days.bin_seconds, means, np.nan)
    kept = np.full((max(days.kinds) + 1, per_day), np.nan)
    counts, found = np.zeros(kept.shape), []
    for number, day in enumerate(measured.reshape(-1, per_day)):
        kind = days.kinds[number % 7]
        count = (~np.isnan(kept)).sum(axis=0)
        of_any = np.where(count > 0, np.nansum(kept, axis=0) / np.maximum(1, count), np.nan)
        found.append(np.where(np.isnan(kept[kind]), of_any, kept[kind]))
        counts[kind] += ~np.isnan(day)
        gain = np.maximum(LEAST_GAIN, 1.0 / np.maximum(1.0, counts[kind]))
        before = np.where(np.isnan(kept[kind]), day, kept[kind])
        kept[kind] = np.where(np.isnan(day), kept[kind], before + gain * (day - before))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Least squares with forgetting and the spread of past errors, one forecast per bin."""

    columns: Floats  # (n, k)
    came: Floats  # (n,)
    prior: Floats  # (k,)
    delay: int  # bins until what came to a forecast is known

    def score(self) -> Score:
        anchors = self.columns[:, ANCHOR]
        points = self._points(anchors)
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = FLOOR_RATIO * anchors
            errors = np.log((self.came + floor) / (points + floor))
        upper = points * np.exp(self._margins(errors))
        is_scored = np.isfinite(errors) & (np.arange(len(errors)) >= SCORED_FROM_BINS)
        over = (self.came - upper)[is_scored]
        losses = np.maximum(P90_RATIO * over, (P90_RATIO - 1.0) * over)
        return Score(
            log_error=float(np.sqrt((errors[is_scored] ** 2).mean())),
            pinball=float(losses.mean() / self.came[is_scored].mean()),
            coverage=float((over <= 0).mean()),
            hindsight=self._hindsight(is_scored),
        )

    def _hindsight(self, is_scored: npt.NDArray[np.bool_]) -> float:
        """The least error that any weights could have had, were they known beforehand."""
        rows, outcomes = self._relative()
        usable = is_scored & np.isfinite(rows).all(axis=1)
        weights, *_ = np.linalg.lstsq(rows[usable], outcomes[usable], rcond=None)
        left: Floats = outcomes[usable] - rows[usable] @ weights
        return float(np.sqrt((left**2).mean()))

    def _relative(self) -> tuple[Floats, Floats]:
        """(columns, outcomes) over the anchor, as `multiscale.learn_row` takes them in."""
        anchors = self.columns[:, ANCHOR]
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = np.clip(self.columns / anchors[:, None], -1.0, MAX_SURPRISE)
            return rows, np.minimum(self.came / anchors, MAX_SURPRISE)

    def _points(self, anchors: Floats) -> Floats:
        """The forecast for each bin, by the weights known then; NaN where nothing was measured."""
        size = len(self.prior)
        ridge, pull = PRIOR_ROWS * np.eye(size), PRIOR_ROWS * self.prior
        gram, moment, weights = np.zeros((size, size)), np.zeros(size), self.prior
        keep, points, rows = 0.5 ** (1.0 / HALF_LIFE_ROWS), np.full(len(anchors), np.nan), 0
        ratios, outcomes = self._relative()
        usable = np.isfinite(outcomes) & np.isfinite(ratios).all(axis=1)
        for now in range(len(anchors)):
            known = now - self.delay
            if known >= 0 and usable[known]:
                row = ratios[known]
                gram = keep * gram + np.outer(row, row)
                moment = keep * moment + row * outcomes[known]
                rows += 1
                if rows % ROWS_PER_SOLUTION == 0:
                    weights = np.linalg.solve(gram + ridge, moment + pull)
            points[now] = max(weights @ self.columns[now], MIN_RATIO * anchors[now])
        return points

    def _margins(self, errors: Floats) -> Floats:
        """Log margin of the P90 at each bin, from the errors known then."""
        keep = 0.5 ** (1.0 / ERROR_HALF_LIFE_ROWS)
        count = total = square = 0.0
        factor, margins = 1.0, np.empty(len(errors))
        margin = P90_DEVIATES * PRIOR_SIGMA
        for now in range(len(errors)):
            known = now - self.delay
            if known >= 0 and np.isfinite(errors[known]):
                error = float(errors[known])
                step = P90_RATIO - 1.0 if error <= margins[known] else P90_RATIO
                if count >= MIN_ERROR_ROWS:
                    factor *= float(np.exp(SPREAD_STEP * step))
                    factor = min(MAX_SPREAD_FACTOR, max(1.0 / MAX_SPREAD_FACTOR, factor))
                count, total = keep * count + 1.0, keep * total + error
                square = keep * square + error * error
            if count >= MIN_ERROR_ROWS:
                mean = total / count
                sigma = factor * max(0.0, square / count - mean * mean) ** 0.5
                margin = mean + P90_DEVIATES * min(MAX_SIGMA, sigma)
            margins[now] = margin
        return margins


if __name__ == "__main__":
    sys.exit(main())

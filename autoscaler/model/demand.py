"""Demand and its forecast as values."""

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from collector.model.history import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSeries:
    """Admitted demand of one service per bin, oldest first. Shapes: all (n_bins,)."""

    bin_seconds: float
    requests_per_second: FloatArray
    prompt_tokens_per_second: FloatArray
    output_tokens_per_second: FloatArray  # arrivals x learned output length
    covered_seconds: FloatArray  # 0: nothing is known about this bin
    work: FloatArray  # both kinds of tokens, weighted as they cost; the unit does not matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Demand at one moment or in one scenario."""

    requests_per_second: float
    prompt_tokens_per_second: float
    output_tokens_per_second: float

    def scaled(self, factor: float) -> "Rates":
        """The same mix at another volume."""
        return Rates(
            requests_per_second=self.requests_per_second * factor,
            prompt_tokens_per_second=self.prompt_tokens_per_second * factor,
            output_tokens_per_second=self.output_tokens_per_second * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Demand expected at the end of the horizon, as scenarios of equal weight."""

    level: Rates  # now
    peak: Rates  # point forecast
    scenario_factors: tuple[float, ...]  # rising; peak x factor is one scenario
    horizon_seconds: float

    @property
    def upper(self) -> Rates:
        """The highest scenario."""
        return self.peak.scaled(self.scenario_factors[-1])

    def at(self, deviates: float) -> Rates:
        """The demand that lies so many standard deviations above the median, outside the scenarios
        continued as steeply as between the outer two."""
        return self.peak.scaled(factor_at(self.scenario_factors, deviates))


@cache
def scenario_deviates(count: int) -> tuple[float, ...]:
    """Normal deviates of the middles of `count` equal shares; five of them: P10, P30 … P90."""
    normal = NormalDist()
    return tuple(normal.inv_cdf((index + 0.5) / count) for index in range(count))


def factor_at(factors: tuple[float, ...], deviates: float) -> float:
    """The scenario factor at a normal deviate; at least 0."""
    last = len(factors) - 1
    if last == 0:
        return factors[0]
    places = scenario_deviates(len(factors))
    right = min(max(sum(deviates > each for each in places), 1), last)
    x0, x1 = places[right - 1], places[right]
    y0, y1 = factors[right - 1], factors[right]
    return max(0.0, y0 + (y1 - y0) * (deviates - x0) / (x1 - x0))

"""Demand and its forecast as values."""

from dataclasses import dataclass
from functools import cache, lru_cache
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

    def at_least(self, other: "Rates") -> "Rates":
        """The larger of both, number by number."""
        return Rates(
            requests_per_second=max(self.requests_per_second, other.requests_per_second),
            prompt_tokens_per_second=max(
                self.prompt_tokens_per_second, other.prompt_tokens_per_second
            ),
            output_tokens_per_second=max(
                self.output_tokens_per_second, other.output_tokens_per_second
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Demand expected at the end of the horizon, as scenarios of equal weight."""

    level: Rates  # now
    peak: Rates  # point forecast
    scenario_factors: tuple[float, ...]  # rising; peak x factor is one scenario
    horizon_seconds: float
    least: Rates | None = None  # declared in the calendar: no scenario is under it

    @property
    def upper(self) -> Rates:
        """The highest scenario."""
        return self._no_less(self.peak.scaled(self.scenario_factors[-1]))

    def times(self, factor: float) -> Rates:
        """So many times the point forecast."""
        return self._no_less(self.peak.scaled(factor))

    def _no_less(self, rates: Rates) -> Rates:
        return rates.at_least(self.least) if self.least else rates


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBefore:
    """The demand that was forecast before an event of the calendar began."""

    timestamp_seconds: float  # when it was forecast
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What the calendar has to do with a forecast."""

    clauses: tuple[str, ...] = ()  # the events that raised it, in words; empty: none did
    forecast_without: Forecast | None = None
    demand_before_events: tuple[DemandBefore, ...] = ()  # to be remembered


@cache
def scenario_deviates(count: int) -> tuple[float, ...]:
    """Normal deviates of the middles of `count` equal shares; five of them: P10, P30 … P90."""
    normal = NormalDist()
    return tuple(normal.inv_cdf((index + 0.5) / count) for index in range(count))


def factor_at(factors: tuple[float, ...], deviates: float) -> float:
    """The scenario factor that lies so many standard deviations above the median, outside the scenarios
    continued as steeply as between the outer two; at least 0."""
    if len(factors) == 1:
        return factors[0]
    left, share = _place(len(factors), deviates)
    low, high = factors[left], factors[left + 1]
    return max(0.0, low + (high - low) * share)


@lru_cache(maxsize=256)
def _place(count: int, deviates: float) -> tuple[int, float]:
    """(which scenario is the lower one, how far it is to the next); below 0 or above 1 outside of all."""
    places = scenario_deviates(count)
    left = min(max(sum(deviates > each for each in places), 1), count - 1) - 1
    return left, (deviates - places[left]) / (places[left + 1] - places[left])

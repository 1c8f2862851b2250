"""Demand and its forecast as values."""

from dataclasses import dataclass

from collector.model.history import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSeries:
    """Admitted demand of one service per bin, oldest first. Shapes: all (n_bins,)."""

    bin_seconds: float
    requests_per_second: FloatArray
    prompt_tokens_per_second: FloatArray
    output_tokens_per_second: FloatArray  # arrivals x learned output length
    covered_seconds: FloatArray  # 0: nothing is known about this bin


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

    @property
    def tokens_per_second(self) -> float:
        """Prompt and output together; the volume that forecasts are scored on."""
        return self.prompt_tokens_per_second + self.output_tokens_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Demand expected as the maximum within the horizon, as scenarios of equal weight."""

    level: Rates  # now
    peak: Rates  # point forecast of the maximum
    scenario_factors: tuple[float, ...]  # rising; peak x factor is one scenario
    horizon_seconds: float

    @property
    def upper(self) -> Rates:
        """The highest scenario: what is sized for."""
        return self.peak.scaled(self.scenario_factors[-1])

"""What was asked on the command line, checked, in base units.

In: texts and numbers as typed. Out: `Options`. Raises ConfigurationError naming the option, its value
and what is allowed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoscaler.replay.service_plant import MAX_REPLICAS
from collector.errors import ConfigurationError
from collector.files.units import seconds_of, share_of

MAX_ASKED_REPLICAS = MAX_REPLICAS // 2
"""The rest is for those that drain."""
_DURATION: Final = (
    "must be a duration with its unit, above 0 and at most 400d, such as 250ms, 90s, 1h30m or 14d"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySource:
    """A Prometheus with the history of vLLM."""

    url: str
    since_seconds: float
    service: str | None  # a value of the label model_name; None: the only one
    bearer_token_path: Path | None = None
    ca_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSource:
    """A trace file."""

    file: str
    model: str | None
    scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything asked."""

    source: TraceSource | HistorySource
    engine: str
    time_to_first_token_seconds: float
    output_token_seconds: float
    target_ratio: float
    provision_seconds: float
    tune_days: float
    days: float | None
    max_replicas: int | None
    seeds: int
    policies: tuple[str, ...]  # as typed
    is_sweep: bool

    def __post_init__(self) -> None:
        if self.days is not None and self.days <= self.tune_days:
            raise ConfigurationError(
                f"--days {self.days:g} leaves nothing to score after --tune-days {self.tune_days:g}; "
                "give more days, or fewer to tune on (0: documented defaults)"
            )
        if self.max_replicas is not None and self.max_replicas > MAX_ASKED_REPLICAS:
            raise ConfigurationError(
                f"--max-replicas {self.max_replicas}: at most {MAX_ASKED_REPLICAS}; choose a quicker "
                "--engine or a smaller --scale"
            )


def duration_option(option: str, typed: str) -> float:
    """Seconds, of `250ms` or `2m`; never of a bare number. Raises ConfigurationError."""
    try:
        return seconds_of(typed)
    except ValueError as error:
        raise ConfigurationError(f"{option} {typed}: {_DURATION}") from error


def share_option(option: str, typed: str) -> float:
    """A ratio between 0 and 1, of `0.99` or `99%`. Raises ConfigurationError."""
    try:
        return share_of(_number_or_text(typed))
    except ValueError as error:
        raise ConfigurationError(f"{option} {typed}: {error}") from error


def _number_or_text(typed: str) -> float | str:
    try:
        return float(typed)
    except ValueError:
        return typed

"""The shape of a contract file, for checking only; `loader` turns it into `collector.model.contract`.

Unknown keys are errors: a misspelt key would otherwise silently leave a signal unread.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from collector.model.contract import (
    AdviceTopic,
    Aggregation,
    Provenance,
    SeriesKind,
    SleepState,
    VersionRange,
    version_numbers,
)

_BOUND = re.compile(r"(>=|<)\s*(\S+)")
_SERIES = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*(\[:_\][a-zA-Z0-9_]+)?")


def version_range(text: str) -> VersionRange:
    """The range ">=0.9.2,<0.12" stands for. Raises ValueError naming the part that is no bound."""
    bounds: dict[str, tuple[int, ...]] = {}
    for part in text.split(","):
        match = _BOUND.fullmatch(part.strip())
        if match is None or match.group(1) in bounds:
            raise ValueError(f"versions is like '>=0.9.2,<0.12', got {part.strip()!r} in {text!r}")
        bounds[match.group(1)] = version_numbers(match.group(2))
    return VersionRange(lower=bounds.get(">="), upper=bounds.get("<"))


def _checked_range(text: str) -> str:
    version_range(text)
    return text


def _checked_series(text: str) -> str:
    if _SERIES.fullmatch(text) is None:
        raise ValueError(f"series is a metric name, its colon written as [:_], got {text!r}")
    return text


class Vocabulary(StrEnum):
    """Which list of signals a file has to answer for."""

    ENGINE = "engine"
    GATEWAY = "gateway"
    ROUTER = "router"
    DEVICE = "device"
    HOST = "host"
    CLUSTER = "cluster"


RangeText = Annotated[str, AfterValidator(_checked_range)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceFile(_Strict):
    """One series that tells the signal."""

    series: Annotated[str, AfterValidator(_checked_series)]
    versions: RangeText = ">=0"
    select: dict[str, list[str]] = {}
    value_labels: list[str] = []
    scale: Annotated[float, Field(gt=0)] = 1.0
    provenance: Provenance | None = None  # the file's own where a row does not say
    reference: str = ""


class SignalFile(_Strict):
    """One canonical signal."""

    kind: SeriesKind
    unit: str
    keep: list[str] = []
    aggregate: dict[str, Aggregation] = {}
    sources: Annotated[list[SourceFile], Field(min_length=1)]
    state_label: str | None = None
    states: dict[str, SleepState] | None = None
    absent_until: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "SignalFile":
        is_state = self.kind is SeriesKind.STATE
        if is_state != bool(self.state_label and self.states):
            raise ValueError("state_label and states belong to kind state, both of them")
        if self.kind is SeriesKind.HISTOGRAM and set(self.aggregate.values()) - {Aggregation.SUM}:
            raise ValueError("a histogram can only be summed")
        if is_state and set(self.aggregate.values()) - {Aggregation.MAX}:
            raise ValueError("a state can only take max, the deepest one")
        is_info = self.kind is SeriesKind.INFO
        if any(bool(source.value_labels) != is_info for source in self.sources):
            raise ValueError("value_labels belongs to every source of kind info, and to no other")
        if set(self.keep) & set(self.aggregate):
            raise ValueError("a label is kept or aggregated, not both")
        return self


class EndpointFile(_Strict):
    """One path."""

    path: Annotated[str, Field(pattern=r"^/")]
    serves_metrics: bool
    observer_safe: Literal["never"] | RangeText
    note: str
    version_key: str | None = None  # of the JSON object it answers: the engine's version
    sleep_key: str | None = (
        None  # of the same object, there only in builds that can sleep when idle
    )


class LabelNameFile(_Strict):
    """A label that some versions call otherwise."""

    name: str  # as these rules use it
    versions: RangeText  # that have the other name


class OtherSeriesFile(_Strict):
    """Names that tell no signal, by type."""

    gauge: list[str] = []
    counter: list[str] = []
    histogram: list[str] = []
    unknown: list[str] = []


class GoneSeriesFile(_Strict):
    """A name of the past."""

    series: str
    since: str
    use: str
    why: str


class BucketEdgesFile(_Strict):
    """Histograms with the same edges."""

    series: Annotated[list[str], Field(min_length=1)]
    edges: Annotated[list[float], Field(min_length=1)]

    @model_validator(mode="after")
    def _rise(self) -> "BucketEdgesFile":
        if self.edges != sorted(set(self.edges)):
            raise ValueError(f"edges of {self.series[0]} must rise")
        return self


class AdviceFile(_Strict):
    """One thing that its owner can do."""

    topic: AdviceTopic
    versions: RangeText = ">=0"
    text: Annotated[str, Field(min_length=1)]


class ContractFile(_Strict):
    """A whole file."""

    engine: str
    title: str
    tells: Annotated[list[Vocabulary], Field(min_length=1)]
    provenance: Provenance  # of every row that does not say otherwise
    reference: str = ""  # project and document, for the rows whose provenance is documentation
    versions: RangeText
    assumed_version: str
    dropped_suffixes: list[str]
    endpoints: Annotated[list[EndpointFile], Field(min_length=1)]
    signals: dict[str, SignalFile]
    cannot_see: dict[str, str]
    cannot_see_others: str | None = None  # why every signal is missing that is not named above
    keep_alive: bool = True  # whether it bears a connection that stays open between scrapes
    idle_sleep_words: list[str] = []  # of a command or an environment that switches idle sleep on
    measured_labels: list[str] = []  # of info series: they differ from start to start
    label_names: dict[str, LabelNameFile] = {}  # {label of some versions: what it is here}
    advice: list[AdviceFile] = []
    other_series: OtherSeriesFile = OtherSeriesFile()
    gone_series: list[GoneSeriesFile] = []
    bucket_edges: list[BucketEdgesFile] = []  # defaults, where no package tells them

    @model_validator(mode="after")
    def _says_where_it_is_written(self) -> "ContractFile":
        for name, signal in self.signals.items():
            for source in signal.sources:
                provenance = source.provenance or self.provenance
                if provenance is Provenance.DOCUMENTATION and not (
                    source.reference or self.reference
                ):
                    raise ValueError(f"{name}: a documented series needs a reference")
        return self

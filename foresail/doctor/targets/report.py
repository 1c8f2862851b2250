"""What is said of one target: how it answered, each signal, and findings. Values only."""

from dataclasses import dataclass
from enum import StrEnum

from foresail.doctor.finding import Status


class FindingKind(StrEnum):
    """What can be wrong with a target; the same words appear in table, JSON and how-to."""

    UNREACHABLE = "unreachable"  # nobody answers, or not in time
    PERMISSION = "permission"  # it answers, but not to us
    NO_PAGE = "no_page"  # it answers, without a page of metrics
    LEFT_ALONE = "left_alone"  # its page was not read: that may keep a model awake
    NOT_RECOGNISED = "not_recognised"  # a page of which Foresail knows nothing
    OTHER_ENGINE = "other_engine"  # not what was declared
    VERSION = "version"  # the contract was not held against it
    MISSING = "missing"  # this version should tell the signal
    RENAMED = "renamed"  # told under a name of another version
    DEPRECATED = "deprecated"  # told under a name that later versions do not have
    UNUSABLE = "unusable"  # told, but not a number, or contradicted
    TOO_COARSE = "too_coarse"  # no bucket ends at the objective's threshold
    NOT_MEASURED = "not_measured"  # no histogram for the objective
    LABEL = "label"  # a label is lacking, or splits what belongs together
    DUPLICATE = "duplicate"  # a series stands twice on the page
    DAMAGED = "damaged"  # lines that cannot be read
    CLOCK = "clock"  # its clock and ours differ
    ASLEEP = "asleep"  # the engine sleeps
    PAUSED = "paused"  # the engine takes requests and works on none
    NO_MODEL = "no_model"  # it has none of the name that requests carry, or could not load it
    SCRAPES = "scrapes"  # a Prometheus, and what it reads
    DOWN = "down"  # a Prometheus cannot read one of its targets


class SignalState(StrEnum):
    """How one signal is told."""

    TOLD = "told"
    ASLEEP = "asleep"  # the engine sleeps, its gauges mean nothing meanwhile
    NOT_YET = "not_yet"  # its series appears with the first event of its kind
    RENAMED = "renamed"
    UNUSABLE = "unusable"
    MISSING = "missing"
    OTHER_VERSION = "other_version"  # only other versions tell it
    CANNOT_SEE = "cannot_see"  # this kind of target never tells it


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReport:
    """One signal of the contract."""

    signal: str
    state: SignalState
    series: str | None  # the name on the page it is read from; None: none is there
    note: str = ""  # why it is not told
    disables: str | None = None  # what Foresail does not do without it; None: it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFinding:
    """One thing to know or to mend."""

    kind: FindingKind
    status: Status
    message: str  # one line: what, which value, what limit
    signal: str | None = None
    next_step: str | None = None  # None: nothing to do
    disables: str | None = None  # what Foresail does not do because of it


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReport:
    """All of one target."""

    name: str  # service/variant/number, a replica id, "gateway", or the address
    url: str
    engine: str | None  # an engine or exporter of the contract, or "prometheus"; None: not known
    title: str  # its makers' name for it; empty: not known
    version: str | None  # as it says; None: it does not
    http_status: int | None  # None: nobody answered
    elapsed_seconds: float | None  # until the answer began
    signals: tuple[SignalReport, ...]
    findings: tuple[TargetFinding, ...]

    @property
    def has_something_to_do(self) -> bool:
        """Whether any finding is more than a note."""
        return any(each.status is not Status.OK for each in self.findings)


def note(kind: FindingKind, message: str, *, signal: str | None = None) -> TargetFinding:
    """Good to know; nothing to do."""
    return TargetFinding(kind=kind, status=Status.OK, message=message, signal=signal)


def warning(
    kind: FindingKind,
    message: str,
    *,
    next_step: str,
    signal: str | None = None,
    disables: str | None = None,
) -> TargetFinding:
    """Something is not known, or is on good days only."""
    return TargetFinding(
        kind=kind,
        status=Status.WARNING,
        message=message,
        next_step=next_step,
        signal=signal,
        disables=disables,
    )


def problem(
    kind: FindingKind,
    message: str,
    *,
    next_step: str,
    signal: str | None = None,
    disables: str | None = None,
) -> TargetFinding:
    """Foresail cannot decide with this target as it could."""
    return TargetFinding(
        kind=kind,
        status=Status.PROBLEM,
        message=message,
        next_step=next_step,
        signal=signal,
        disables=disables,
    )

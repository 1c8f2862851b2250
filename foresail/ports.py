"""What the front door's HTTP app needs from the controller, as values and one Protocol.

In: nothing. Out: `ControllerReport` (everything the app may show, read at one moment) and
`ControllerView` (who gives it). The controller implements the view; `foresail.http` reads it. Must
not offer anything that changes state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.ledger.chain import LedgerRecord
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.series import TickStep
from collector.gateway.routing import RoutingTable
from collector.model.catalogue import Catalogue
from collector.model.history import History
from collector.model.ids import ServiceName
from collector.model.snapshot import Problem, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """How the control loop is doing."""

    tick_count: int = 0  # attempted since start
    last_success_timestamp_seconds: float | None = None  # None: no tick has succeeded yet
    last_success_age_seconds: float | None = None  # by the monotonic clock, so that setting the
    # host's clock makes nobody unready
    last_problem: str | None = None  # why the last attempt failed, in one line; None: it did not
    step_seconds: Mapping[TickStep, float] = field(default_factory=dict)  # of the last attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSummary:
    """What is known about the ledger without reading all of it again."""

    record_count: int
    head_hash: str | None  # hex; None while it is empty
    is_intact: bool | None  # as last verified; None: not verified since start
    verified_timestamp_seconds: float | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesReport:
    """The routing table the gateway was last told."""

    epoch: int  # of the controller that wrote it
    version: int  # rises with every table of that epoch
    is_accepted: bool | None  # whether the gateway has taken it; None: it has not answered


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerReport:
    """The controller at one moment. None and empty: not there yet, never zero."""

    reported_timestamp_seconds: float
    started_timestamp_seconds: float
    decide_interval_seconds: float
    ticks: TickReport
    lost_leadership: str | None = None  # why it does nothing any more, in one line; None: it leads
    catalogue: Catalogue | None = None  # in force
    catalogue_problem: str | None = None  # why a newer file was not taken, in one line
    snapshot: Snapshot | None = None  # the last one decided on
    history: History | None = None  # the last one decided on
    decisions: tuple[Decision, ...] = ()  # of the last tick that succeeded, one per service
    engine_problems: tuple[
        Problem, ...
    ] = ()  # why a variant's engines failed last, until one serves
    running_effects: tuple[JournalEntry, ...] = ()  # newest phase of each that has not ended
    ledger: LedgerSummary | None = None
    ledger_records: tuple[LedgerRecord, ...] = ()  # a few, newest first
    routes: RoutesReport | None = None
    has_gateway: bool = True  # False: clients come through a gateway of the owner's
    gateway_url: str | None = None  # where clients send requests


class RoutesSource(Protocol):
    """Who writes the routing table."""

    @property
    def written(self) -> RoutingTable | None:
        """The last table the gateway has taken; None before the first."""
        ...


class ControllerView(Protocol):
    """The controller as the app sees it. Both calls answer from memory, at once."""

    def report(self) -> ControllerReport:
        """Everything, at one moment."""
        ...

    def decisions(
        self, *, last_count: int, service: ServiceName | None, changes_only: bool
    ) -> tuple[Decision, ...]:
        """Up to `last_count` remembered decisions, newest first.

        Of all services when `service` is None. With `changes_only` those that say the same as the
        service's decision before them are left out.
        """
        ...

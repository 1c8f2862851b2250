"""The running controller as the HTTP app sees it: adapter of `ControllerView`.

In: the controller, its journal, the ledger's watch, the router. Out: reports made from memory.
"""

from autoscaler.model.decision import Decision
from collector.model.ids import ServiceName
from foresail.controller import Controller
from foresail.ledger_watch import LedgerWatch
from foresail.ports import ControllerReport, RoutesReport, RoutesSource


class LiveView:
    """Reads a controller that runs in the same event loop."""

    def __init__(
        self,
        controller: Controller,
        *,
        ledger: LedgerWatch,
        routes: RoutesSource,
    ) -> None:
        self._controller = controller
        self._ledger = ledger
        self._routes = routes
        self._started_timestamp_seconds = controller.parts.clock.timestamp_seconds()

    def report(self) -> ControllerReport:
        """Everything, at one moment."""
        controller, parts = self._controller, self._controller.parts
        inputs = controller.inputs
        return ControllerReport(
            reported_timestamp_seconds=parts.clock.timestamp_seconds(),
            started_timestamp_seconds=self._started_timestamp_seconds,
            decide_interval_seconds=parts.settings.ticks.decide_seconds,
            ticks=controller.ticks.report(),
            lost_leadership=controller.lost_leadership,
            catalogue=parts.catalogue.current,
            catalogue_problem=parts.catalogue.problem,
            snapshot=controller.snapshot,
            history=inputs.history if inputs else None,
            decisions=controller.latest,
            engine_problems=controller.engine_problems.of(parts.catalogue.current),
            running_effects=parts.journal.running,
            ledger=self._ledger.summary,
            ledger_records=self._ledger.records,
            routes=self._routes_report(),
            has_gateway=parts.settings.has_gateway,
            gateway_url=parts.settings.gateway.url if parts.settings.has_gateway else None,
        )

    def decisions(
        self, *, last_count: int, service: ServiceName | None, changes_only: bool
    ) -> tuple[Decision, ...]:
        """Remembered decisions, newest first."""
        return self._controller.memory.newest(
            last_count=last_count, service=service, changes_only=changes_only
        )

    def _routes_report(self) -> RoutesReport | None:
        written = self._routes.written
        if written is None:
            return None
        return RoutesReport(epoch=written.epoch, version=written.version, is_accepted=True)

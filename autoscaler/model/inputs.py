"""The five inputs of a decision as one value, so that stages pass them on together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.model.state import ControllerState
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.ids import ServiceName
from collector.model.snapshot import Snapshot, snapshots_by_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything seen, remembered and declared at one moment."""

    snapshot: Snapshot
    history: History
    catalogue: Catalogue
    state: ControllerState
    now: float  # epoch seconds
    _parts: Mapping[ServiceName, Snapshot] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [service.name for service in self.catalogue.services]
        parts = snapshots_by_service(self.snapshot, services=names)
        object.__setattr__(self, "_parts", parts)  # frozen: the one place that may fill it in

    def part(self, service: ServiceName) -> Snapshot:
        """What of the snapshot concerns one declared service, without walking through all of it."""
        return self._parts[service]

    @property
    def control(self) -> Control:
        """Windows and limits in force."""
        return self.catalogue.control

"""The five inputs of a decision as one value, so that stages pass them on together."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field

from autoscaler.model.state import ControllerState
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.ids import ServiceName
from collector.model.snapshot import ReplicaView, Snapshot, snapshots_by_service
from collector.model.units import InUnits, in_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything seen, remembered and declared at one moment."""

    snapshot: Snapshot
    history: History
    catalogue: Catalogue
    state: ControllerState
    now: float  # epoch seconds
    _in_units: InUnits = field(init=False, repr=False, compare=False)
    _parts: Mapping[ServiceName, Snapshot] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [service.name for service in self.catalogue.services]
        whole = in_units(self.snapshot, catalogue=self.catalogue)
        parts = snapshots_by_service(whole.snapshot, services=names)
        object.__setattr__(self, "_in_units", whole)  # frozen: the one place that may fill it in
        object.__setattr__(self, "_parts", parts)

    def with_state(self, state: ControllerState) -> "Inputs":
        """The same with another state, its snapshot not joined and divided again."""
        changed = copy(self)
        object.__setattr__(changed, "state", state)
        return changed

    @property
    def in_units(self) -> Snapshot:
        """The snapshot with the units of variants that have roles as replicas."""
        return self._in_units.snapshot

    def part(self, service: ServiceName) -> Snapshot:
        """What of it concerns one declared service, without walking through all of it."""
        return self._parts[service]

    def engines(self, service: ServiceName) -> tuple[ReplicaView, ...]:
        """The engines that its units are made of; none for a service without roles."""
        return self._in_units.engines.get(service, ())

    @property
    def control(self) -> Control:
        """Windows and limits in force."""
        return self.catalogue.control

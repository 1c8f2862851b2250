"""The five inputs of a decision as one value, so that stages pass them on together."""

from dataclasses import dataclass

from autoscaler.model.state import ControllerState
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything seen, remembered and declared at one moment."""

    snapshot: Snapshot
    history: History
    catalogue: Catalogue
    state: ControllerState
    now: float  # epoch seconds

    @property
    def control(self) -> Control:
        """Windows and limits in force."""
        return self.catalogue.control

"""`foresail doctor` for metric pages: which targets answer, what they tell, and what that costs.

Addresses → `visit` (reads each page and version, once) → `recognise` → checks (pure) →
`TargetReport`. Pages go through the collector's own reader, contract and `normalise`, so that the
doctor sees what the controller sees. It changes nothing and asks only what the contract calls safe.
"""

from foresail.doctor.targets.address import Address, address_of, thresholds_of
from foresail.doctor.targets.report import (
    FindingKind,
    SignalReport,
    SignalState,
    TargetFinding,
    TargetReport,
)

__all__ = [
    "Address",
    "FindingKind",
    "SignalReport",
    "SignalState",
    "TargetFinding",
    "TargetReport",
    "address_of",
    "thresholds_of",
]

"""Errors of the autoscaler. Denied and infeasible are results (verdicts, reasons), not errors.

AutoscalerError
├── LedgerError
│   ├── LedgerTampered        the chain or its checkpoint does not fit; a person must look
│   └── LedgerBusy            another process holds the write lock longer than the timeout
├── CheckpointError           a saved state cannot be written or read; start without it
├── EffectError               an effect could not be carried out; it is rolled back and told
│   ├── StartFailed           the process ended, never got healthy, or gave no token
│   └── StopFailed            the process would not go
├── ReplayError               a replay cannot be run; the message says what to change
└── NotLeader                 another controller holds this state directory
"""


class AutoscalerError(Exception):
    """Anything this package raises on purpose."""


class LedgerError(AutoscalerError):
    """The ledger cannot be read or written."""


class LedgerTampered(LedgerError):
    """The record was changed after it was written."""


class LedgerBusy(LedgerError):
    """The write lock was not free in time."""


class CheckpointError(AutoscalerError):
    """A saved state is missing, cut off, foreign, of another version, or cannot be written."""


class EffectError(AutoscalerError):
    """An effect could not be carried out."""


class StartFailed(EffectError):
    """A replica did not come up; the message is one line for the owner."""


class StopFailed(EffectError):
    """A replica did not go."""


class NotLeader(AutoscalerError):
    """Another controller works on this state directory."""


class ReplayError(AutoscalerError):
    """A replay cannot be run as asked."""

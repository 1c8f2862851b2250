"""What can go wrong while a demo is prepared or measured, each with the next step in its message.

    DemoError
    ├── MissingPart         an optional package is not installed; the owner installs the extra
    ├── EngineRejected      the engine cannot start as asked; the owner changes model or port
    └── DamagedTrace        the shipped recording does not read as it should; the owner reinstalls

Sits beside the demo's modules; raises nothing itself and imports nothing of them.
"""

from __future__ import annotations


class DemoError(Exception):
    """A reason the demo cannot go on that its owner can act on."""


class MissingPart(DemoError):
    """A package of the `demo` extra is not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"the demo needs the Python package {module!r}, which is not installed here;"
            " install it with: pip install 'foresail[demo]'"
        )
        self.module = module


class EngineRejected(DemoError):
    """The engine cannot start with this model or on this port."""


class DamagedTrace(DemoError):
    """The trace shipped with the package is missing or does not have the expected columns."""

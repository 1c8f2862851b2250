"""`foresail doctor`: what on this machine would keep Foresail from working, before it does.

`examine(...)` runs every check and returns `Finding`s; it changes nothing, starts nothing and never
asks an engine anything.
"""

from foresail.doctor.examination import examine
from foresail.doctor.finding import Finding, Status
from foresail.doctor.machine import Machine, ThisMachine

__all__ = ["Finding", "Machine", "Status", "ThisMachine", "examine"]

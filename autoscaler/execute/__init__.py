"""Carries decisions out and remembers how far each one has come.

`Executor` takes decisions; `ReplicaRegistry` tells everybody else which replicas there are. Every
effect is prepared, looked at again, fenced, done, verified, or rolled back, with each step in the
journal, so that a controller killed anywhere is continued by the next one.
"""

from autoscaler.execute.executor import Executor
from autoscaler.execute.registry import ReplicaRegistry
from autoscaler.execute.tools import ExecutorPorts

__all__ = ["Executor", "ExecutorPorts", "ReplicaRegistry"]

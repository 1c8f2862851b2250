"""The node agent: probes and what it serves. In: the command's options. Out: an agent to run."""

import socket

from collector.clock import SystemClock
from collector.sources.host_memory import HostMemoryProbe
from collector.sources.nvml import NvmlDeviceProbe
from foresail.node_agent import NodeAgent


def node_agent(*, node_name: str | None, with_host_memory: bool) -> NodeAgent:
    """The agent for this machine, which has its own name unless it is given another."""
    clock = SystemClock()
    return NodeAgent(
        devices=NvmlDeviceProbe(clock=clock),
        host_memory=HostMemoryProbe(clock=clock).host_memory if with_host_memory else None,
        node_name=node_name or socket.gethostname(),
        clock=clock,
    )

"""The node agent: probes and what it serves. In: the command's options. Out: an agent to run."""

import socket
from collections.abc import Mapping, Sequence

from collector.clock import Clock, SystemClock
from collector.contract.loader import load_contracts
from collector.model.engine_admin import AdminApi
from collector.model.replica import EngineKind
from collector.ports import EngineAdminReader
from collector.sources.engine_admin import (
    AdminHttp,
    LlamaCppAdminReader,
    LlamaSwapAdminReader,
    OllamaAdminReader,
    VllmAdminReader,
)
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.host_memory import HostMemoryProbe
from collector.sources.nvml import NvmlDeviceProbe
from foresail.engine_watch import EngineWatch, WatchedEngine
from foresail.node_agent import NodeAgent


def node_agent(
    *, node_name: str | None, with_host_memory: bool, engines: Sequence[WatchedEngine] = ()
) -> NodeAgent:
    """The agent for this machine, which has its own name unless it is given another.

    Raises ConfigurationError for an engine that is named twice.
    """
    clock = SystemClock()
    return NodeAgent(
        devices=NvmlDeviceProbe(clock=clock),
        host_memory=HostMemoryProbe(clock=clock).host_memory if with_host_memory else None,
        node_name=node_name or socket.gethostname(),
        clock=clock,
        engines=engine_watch(engines, clock=clock) if engines else None,
    )


def engine_watch(engines: Sequence[WatchedEngine], *, clock: Clock) -> EngineWatch:
    """A watch on these engines. Raises ConfigurationError for one that is named twice."""
    http, pages = AdminHttp(clock=clock), HttpExpositionReader(clock=clock)

    async def close() -> None:
        await http.close()
        await pages.close()

    return EngineWatch(
        engines=engines,
        readers=admin_readers(http),
        pages=pages,
        llama_cpp=load_contracts().engines[EngineKind.LLAMA_CPP],
        close=close,
    )


def admin_readers(http: AdminHttp) -> Mapping[AdminApi, EngineAdminReader]:
    """Who asks engines of each kind for their admin state."""
    return {
        AdminApi.VLLM: VllmAdminReader(http),
        AdminApi.OLLAMA: OllamaAdminReader(http),
        AdminApi.LLAMA_CPP: LlamaCppAdminReader(http),
        AdminApi.LLAMA_SWAP: LlamaSwapAdminReader(http),
    }

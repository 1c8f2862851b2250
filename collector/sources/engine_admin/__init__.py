"""`EngineAdminReader` for each interface: read-only HTTP, bounded in time and size.

A URL in, an `EngineAdminState` out, whatever the other side does. Asks only paths that the engine's
contract calls observer-safe: none that loads a model, wakes one or prolongs its stay.
"""

from collector.sources.engine_admin.http import AdminHttp, AdminLimits
from collector.sources.engine_admin.llama_cpp import LlamaCppAdminReader
from collector.sources.engine_admin.llama_swap import LlamaSwapAdminReader
from collector.sources.engine_admin.ollama import OllamaAdminReader
from collector.sources.engine_admin.vllm import VllmAdminReader

__all__ = [
    "AdminHttp",
    "AdminLimits",
    "LlamaCppAdminReader",
    "LlamaSwapAdminReader",
    "OllamaAdminReader",
    "VllmAdminReader",
]

"""`foresail collect`: the node agent, once or as a server."""

import sys
from typing import Annotated, Any

import typer

from foresail.cli.failure import FOUND_SOMETHING


def _engine_option(what: str) -> Any:  # noqa: ANN401  typer's own return type
    return typer.Option(
        help=f"{what} to look at. May be repeated.", metavar="URL", show_default=False
    )


_Listen = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT", help="Where to serve the page, host:port. Port 0: any free one."
    ),
]
_Once = Annotated[
    bool,
    typer.Option("--once", help="Print the page and end; exit 1 when something could not be read."),
]
_AllowInsecure = Annotated[
    bool,
    typer.Option(
        "--allow-insecure-listen", help="Listen beyond loopback: whoever reaches it, reads it."
    ),
]
_HostMemory = Annotated[
    bool,
    typer.Option(
        "--host-memory/--no-host-memory",
        help="The machine's memory, under node_exporter's names. Off where one runs, too.",
    ),
]
_NodeName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The label `hostname`. Default: this machine's name.",
        show_default=False,
    ),
]
_Ollama = Annotated[list[str] | None, _engine_option("An Ollama")]
_LlamaCpp = Annotated[list[str] | None, _engine_option("A llama.cpp server or router")]
_LlamaSwap = Annotated[list[str] | None, _engine_option("A llama-swap")]
_Vllm = Annotated[list[str] | None, _engine_option("A vLLM")]


def collect(
    *,
    listen: _Listen = "127.0.0.1:9400",
    once: _Once = False,
    allow_insecure_listen: _AllowInsecure = False,
    host_memory: _HostMemory = True,
    node_name: _NodeName = None,
    ollama: _Ollama = None,
    llama_cpp: _LlamaCpp = None,
    llama_swap: _LlamaSwap = None,
    vllm: _Vllm = None,
) -> None:
    """Serves the metrics of this machine's GPUs, memory and engines.

    GPUs under DCGM's names, for a box without DCGM. Looking wakes, loads and holds no model.
    """
    import asyncio

    from collector.model.engine_admin import AdminApi
    from foresail.engine_watch import watched_engine
    from foresail.node_agent import listen_address, read_node_once, run_node_agent
    from foresail.wiring.agent import node_agent

    address = listen_address(listen, allow_insecure=allow_insecure_listen)
    named = {
        AdminApi.OLLAMA: ollama,
        AdminApi.LLAMA_CPP: llama_cpp,
        AdminApi.LLAMA_SWAP: llama_swap,
        AdminApi.VLLM: vllm,
    }
    agent = node_agent(
        node_name=node_name,
        with_host_memory=host_memory,
        engines=[watched_engine(url, api=api) for api, urls in named.items() for url in urls or ()],
    )
    if not once:
        run_node_agent(agent, address=address)
        return
    seen = asyncio.run(read_node_once(agent))
    print(seen.page, end="")
    for problem in seen.problems:
        print(f"foresail: {problem.message}", file=sys.stderr)
    if seen.problems:
        raise typer.Exit(FOUND_SOMETHING)

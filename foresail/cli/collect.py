"""`foresail collect`: the node agent, once or as a server."""

import sys
from typing import Annotated

import typer

from foresail.cli.failure import FOUND_SOMETHING


def collect(
    *,
    listen: Annotated[
        str, typer.Option(help="Where to serve the page, host:port. Port 0: any free one.")
    ] = "127.0.0.1:9400",
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Print the page and end; exit 1 when something could not be read."
        ),
    ] = False,
    allow_insecure_listen: Annotated[
        bool,
        typer.Option(
            "--allow-insecure-listen", help="Listen beyond loopback: whoever reaches it, reads it."
        ),
    ] = False,
    host_memory: Annotated[
        bool,
        typer.Option(
            "--host-memory/--no-host-memory",
            help="The machine's memory, under node_exporter's names. Off where one runs, too.",
        ),
    ] = True,
    node_name: Annotated[
        str | None,
        typer.Option(
            help="The label `hostname`. Default: this machine's name.", show_default=False
        ),
    ] = None,
) -> None:
    """Serves this machine's GPU and memory metrics.

    Under DCGM's names, for a box without DCGM.
    """
    import asyncio

    from foresail.node_agent import listen_address, read_node_once, run_node_agent
    from foresail.wiring.agent import node_agent

    address = listen_address(listen, allow_insecure=allow_insecure_listen)
    agent = node_agent(node_name=node_name, with_host_memory=host_memory)
    if not once:
        run_node_agent(agent, address=address)
        return
    seen = asyncio.run(read_node_once(agent))
    print(seen.page, end="")
    for problem in seen.survey.problems:
        print(f"foresail: {problem.message}", file=sys.stderr)
    if seen.survey.problems:
        raise typer.Exit(FOUND_SOMETHING)

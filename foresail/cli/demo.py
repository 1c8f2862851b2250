"""`foresail demo`: real engines, real traffic, real decisions, on this machine, in minutes."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    context: typer.Context,
    *,
    minutes: Annotated[float, typer.Option(min=0.2, max=57, help="How long traffic runs.")] = 3.0,
    speed: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=60,
            help="How much faster than recorded it runs. Default: the whole recorded hour fits.",
            show_default=False,
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="No live table; lines only.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary to this file, too.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the work folder afterwards.")] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The gateway's port. Default: a free one.")
    ] = None,
) -> None:
    """Serves small real models under load and scales them.

    Real engines, a replay of recorded traffic, and each decision with its reason.
    """
    from foresail.demo.options import DemoOptions
    from foresail.demo.run import run_demo

    options = DemoOptions(
        minutes=minutes, speed=speed, headless=headless, json_path=json_file, keep=keep, port=port
    )
    raise typer.Exit(run_demo(options))

"""`foresail up` and `down`, and the two processes they run (hidden: a service manager calls those)."""

from typing import Annotated

import typer

from foresail.cli.session import SettingsOption, session_of


def up(
    context: typer.Context,
    *,
    settings: SettingsOption = None,
    stop_engines: Annotated[
        bool,
        typer.Option(
            "--stop-engines", help="Stop the engines, too, when this ends. Else they keep serving."
        ),
    ] = False,
) -> None:
    """Runs the gateway and the controller until it is interrupted."""
    from collector.catalogue_file import read_catalogue
    from foresail.up import run_up

    found = session_of(context).settings(settings)
    read_catalogue(found.catalogue_path)  # the controller would refuse it, when all else is started
    raise typer.Exit(run_up(found, stop_engines=stop_engines))


def down(context: typer.Context, *, settings: SettingsOption = None) -> None:
    """Stops the controller, the gateway and all engines."""
    from foresail.up import run_down

    raise typer.Exit(run_down(session_of(context).settings(settings)))


def gateway(context: typer.Context, *, settings: SettingsOption = None) -> None:
    """Runs the gateway alone, in the foreground."""
    from foresail.wiring.gateway import run_gateway_process

    run_gateway_process(session_of(context).settings(settings))


def controller(
    context: typer.Context,
    *,
    settings: SettingsOption = None,
    stop_engines: Annotated[
        bool, typer.Option("--stop-engines", help="Stop the engines, too, when this ends.")
    ] = False,
) -> None:
    """Runs the controller alone, in the foreground."""
    from foresail.wiring.control import run_controller_process

    run_controller_process(session_of(context).settings(settings), stop_engines=stop_engines)

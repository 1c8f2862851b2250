"""`foresail demo`: real engines, real traffic, real decisions, on this machine, in minutes.

With `--fleet`: eight GPUs that nobody has here, in a replay beside one peer; with `--live` as emulated
engines behind the real gateway and controller.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from foresail.demo.fleet.bodies import FleetSummary

DEFAULT_MINUTES = 3.0
MAX_MINUTES, MAX_SPEED = 57.0, 60.0
"""Of real engines; a replay may be quicker."""


Fleet = Annotated[
    bool,
    typer.Option(
        "--fleet", help="Six services on eight simulated GPUs beside a peer, on a live page."
    ),
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="With --fleet: no replay and no peer, but emulated engines behind the real gateway and "
        "controller, as fast as recorded. Two cores carry it.",
    ),
]
Peer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --fleet: a policy of `foresail backtest`. Default: hpa_concurrency.",
        show_default=False,
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.2,
        max=600,
        help="How long traffic runs. Default: 3; with --fleet without --live as long as there is any.",
        show_default=False,
    ),
]
Speed = Annotated[
    float | None,
    typer.Option(
        min=1,
        max=600,
        help="How much faster than recorded; up to 60 without --fleet. Default: the whole recorded "
        "hour fits; with --fleet 60, with --live 1 and nothing else.",
        show_default=False,
    ),
]
Headless = Annotated[
    bool,
    typer.Option("--headless", help="No live table; lines only. With --fleet: no page, no pace."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the summary to this file, too.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the work folder afterwards.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=1, max=65535, help="The gateway's port; with --fleet the page's. Default: a free one."
    ),
]


def demo(
    context: typer.Context,
    *,
    fleet: Fleet = False,
    live: Live = False,
    peer: Peer = None,
    minutes: Minutes = None,
    speed: Speed = None,
    headless: Headless = False,
    json_file: JsonFile = None,
    keep: Keep = False,
    port: Port = None,
) -> None:
    """Serves small real models under load and scales them.

    Real engines, a replay of recorded traffic, and each decision with its reason. With --fleet there
    are no engines but a replay of ten recorded hours: Foresail and a peer side by side. With --fleet
    --live some minutes of it on emulated engines.
    """
    if live:
        _check_live(fleet=fleet, peer=peer, speed=speed)
        raise typer.Exit(
            _live(minutes=minutes, headless=headless, json_file=json_file, keep=keep, port=port)
        )
    if fleet:
        if keep:
            raise typer.BadParameter(
                "--keep: a fleet demo has no work folder; leave it out, or add --live"
            )
        raise typer.Exit(
            _fleet(
                peer=peer,
                minutes=minutes,
                speed=speed,
                headless=headless,
                json_file=json_file,
                port=port,
            )
        )
    _check_real(peer=peer, minutes=minutes, speed=speed)
    from foresail.demo.options import DemoOptions
    from foresail.demo.run import run_demo

    options = DemoOptions(
        minutes=DEFAULT_MINUTES if minutes is None else minutes,
        speed=speed,
        headless=headless,
        json_path=json_file,
        keep=keep,
        port=port,
    )
    raise typer.Exit(run_demo(options))


def _check_real(*, peer: str | None, minutes: float | None, speed: float | None) -> None:
    """Raises BadParameter for what only a replay can have."""
    if peer is not None:
        raise typer.BadParameter("--peer goes with --fleet; real engines serve Foresail alone")
    for name, value, most in (("--minutes", minutes, MAX_MINUTES), ("--speed", speed, MAX_SPEED)):
        if value is not None and value > most:
            raise typer.BadParameter(
                f"{name} {value:g}: real engines take {most:g} at most; give less, or --fleet"
            )


def _check_live(*, fleet: bool, peer: str | None, speed: float | None) -> None:
    """Raises BadParameter for what only a replay can have."""
    if not fleet:
        raise typer.BadParameter("--live goes with --fleet; without both, engines are real")
    if peer is not None:
        raise typer.BadParameter(
            f"--peer {peer}: no peer runs beside --live; leave one of them out"
        )
    if speed not in {None, 1.0}:
        raise typer.BadParameter(
            f"--speed {speed:g}: --live runs as fast as recorded, 1; leave one of them out"
        )


def _live(
    *,
    minutes: float | None,
    headless: bool,
    json_file: Path | None,
    keep: bool,
    port: int | None,
) -> int:
    from foresail.cli.backtest import extra_packages

    with extra_packages():
        from foresail.demo.fleet.live.options import DEFAULT_MINUTES as LIVE_MINUTES
        from foresail.demo.fleet.live.options import LiveOptions
        from foresail.demo.fleet.live.run import run_live_demo

        options = LiveOptions(
            minutes=LIVE_MINUTES if minutes is None else minutes,
            headless=headless,
            json_path=json_file,
            keep=keep,
            port=port,
        )
        return run_live_demo(options, tell=_print_summary)


def _fleet(
    *,
    peer: str | None,
    minutes: float | None,
    speed: float | None,
    headless: bool,
    json_file: Path | None,
    port: int | None,
) -> int:
    from foresail.cli.backtest import extra_packages

    with extra_packages():
        from foresail.demo.fleet.options import DEFAULT_PEER, DEFAULT_SPEED, FleetOptions
        from foresail.demo.fleet.run import run_fleet_demo

        options = FleetOptions(
            peer=peer or DEFAULT_PEER,
            minutes=minutes,
            speed_ratio=speed or DEFAULT_SPEED,
            headless=headless,
            json_path=json_file,
            port=port,
        )
        return run_fleet_demo(options, tell=_print_summary)


def _print_summary(summary: "FleetSummary") -> None:
    from foresail.cli.output import print_table
    from foresail.demo.fleet.table import columns, heading, rows

    print(heading(summary))
    print()
    print_table(columns(summary), rows(summary))

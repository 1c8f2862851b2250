"""The command `foresail`: its subcommands, and the one place where a failure becomes a line of text.

In: the words typed, and the process's variables, which are read here and nowhere else. Out: an exit
code: 0 done, 1 found something or failed, 2 wrong use, 130 interrupted. Commands import what they need
when they run; this file must stay quick to import.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

import foresail
from foresail.cli.backtest import backtest
from foresail.cli.checkup import doctor
from foresail.cli.cluster import cluster
from foresail.cli.collect import collect
from foresail.cli.demo import demo
from foresail.cli.emulate import emulate
from foresail.cli.failure import failure
from foresail.cli.generate import generate
from foresail.cli.init import init
from foresail.cli.ledger import ledger_application
from foresail.cli.lint import lint
from foresail.cli.listing import list_services
from foresail.cli.plan import plan
from foresail.cli.processes import controller, down, gateway, up
from foresail.cli.session import Session

INTERRUPTED = 130
BROKEN_PIPE = 141
"""As a shell reports SIGINT and SIGPIPE."""


def run() -> None:
    """Entry of the console script; ends the process."""
    try:
        code = main(sys.argv[1:], environ=os.environ)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left. Python would flush again at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def main(arguments: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """The exit code of one command, after everything it had to say was printed."""
    session = Session(environ=environ)
    try:
        code = application()(
            list(arguments), prog_name="foresail", standalone_mode=False, obj=session
        )
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if session.wants_tracebacks:
            raise
        found = failure(error)
        for line in found.lines:
            print(f"foresail: {line}", file=sys.stderr)
        return found.exit_code
    return code if isinstance(code, int) else 0


def application() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        help="Keeps LLM inference inside its objectives at the least GPU time.",
        epilog="Begin with: foresail demo",
        invoke_without_command=True,
        add_completion=False,
        rich_markup_mode=None,  # plain help: rich would cost a third of the time allowed for it
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    _add(app, demo, example="foresail demo --minutes 3 --headless --json out.json")
    _add(app, init, example="foresail init desk")
    _add(app, doctor, example="foresail doctor --json")
    _add(app, up, example="foresail up --settings desk/foresail.yaml")
    _add(app, down, example="foresail down")
    _add(app, collect, example="foresail collect --once")
    _add(app, cluster, example="foresail cluster --kubeconfig ~/.kube/config --namespace chat")
    _add(app, lint, example="foresail lint dashboards/ rules.yaml --engine vllm=0.33")
    _add(app, list_services, name="list", example="foresail list")
    _add(app, plan, example="foresail plan --json")
    _add(app, backtest, example="foresail backtest --trace example --html report.html")
    app.add_typer(ledger_application(), name="ledger")
    _add(app, emulate, example="foresail emulate --row qwen3-1.7b-l40s-tp1 --count 2 --port 8000")
    _add(app, generate, example="foresail generate --check")
    _add(app, gateway, example="foresail gateway --settings foresail.yaml", is_hidden=True)
    _add(app, controller, example="foresail controller --settings foresail.yaml", is_hidden=True)
    return app


def _add(
    app: typer.Typer,
    command: "typer.models.CommandFunctionType",
    *,
    example: str,
    name: str | None = None,
    is_hidden: bool = False,
) -> None:
    app.command(name, epilog=f"Example: {example}", hidden=is_hidden)(command)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"foresail {foresail.__version__}")
        raise typer.Exit


def _options(
    context: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Keeps LLM inference inside its objectives at the least GPU time."""
    if context.invoked_subcommand is None:
        print(context.get_help())

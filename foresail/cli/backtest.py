"""`foresail backtest`: every policy on the same requests, before anything is switched on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.cli.output import print_json, print_table
from foresail.cli.session import JsonOption

if TYPE_CHECKING:
    from foresail.backtest.command import Wanted
    from foresail.backtest.options import HistorySource, Options, TraceSource
    from foresail.backtest.report import Report

EXTRA_PACKAGES = frozenset({"numba", "pandas", "pyarrow", "scipy", "statsmodels"})
DASK_PACKAGES = frozenset({"dask", "distributed"})
RECORDED_SEEDS, RECONSTRUCTED_SEEDS = 1, 5

Trace = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="A Parquet file of requests, or `example`.", show_default=False
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which model, of a trace with several.", show_default=False),
]
Scale = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Copies laid on each other. Default: 1; example: 16.",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        metavar="URL",
        help="URL of a Prometheus that scrapes vLLM.",
        show_default=False,
    ),
]
Since = Annotated[str, typer.Option(metavar="DURATION", help="How far back, with --prometheus.")]
ServiceName = Annotated[
    str | None,
    typer.Option(
        "--service", metavar="NAME", help="Which model_name, with --prometheus.", show_default=False
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--bearer-token-file",
        metavar="FILE",
        help="Holds the token, with --prometheus.",
        show_default=False,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file", metavar="FILE", help="Who may sign, with --prometheus.", show_default=False
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A row of `foresail emulate --rows`, or `fit` with --prometheus. Default: llama-3.1-8b-l40s-tp1; example: "
        "llama-3.1-8b-fp8-gb10.",
        show_default=False,
    ),
]
Ttft = Annotated[
    str, typer.Option("--ttft", metavar="DURATION", help="Time to first token, at most: 500ms, 2s.")
]
Itl = Annotated[
    str, typer.Option("--itl", metavar="DURATION", help="Mean time per later token, at most.")
]
Target = Annotated[
    str, typer.Option(metavar="SHARE", help="Share of requests that keep both: 0.99 or 99%.")
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy", metavar="NAME", help="`all` or names; repeatable. Default: the usual ones."
    ),
]
Provision = Annotated[
    str, typer.Option(metavar="DURATION", help="Median time from order to ready.")
]
TuneDays = Annotated[
    float, typer.Option(min=0, help="First days, on which peers are tuned. 0: their defaults.")
]
Sweep = Annotated[bool, typer.Option("--sweep", help="Score every value of every knob.")]
Seeds = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Default: 1; with --prometheus 5.", show_default=False),
]
Days = Annotated[float | None, typer.Option(min=0, help="Only the first ones.", show_default=False)]
MaxReplicas = Annotated[
    int | None,
    typer.Option(min=1, help="Default: twice what the busiest 5 min take.", show_default=False),
]
ScheduleOut = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write replicas over time, Parquet.", show_default=False),
]
HtmlOut = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page with pictures.", show_default=False),
]
ForecastOnly = Annotated[
    bool,
    typer.Option("--forecast-only", help="Only score the forecast, on counts per 10 minutes."),
]
Jobs = Annotated[int, typer.Option(min=1, max=1024, help="Local processes.")]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="URL", help="Address of a Dask scheduler to run on.", show_default=False
    ),
]


def backtest(
    *,
    trace: Trace = None,
    model: Model = None,
    scale: Scale = None,
    prometheus: Url = None,
    since: Since = "14d",
    service: ServiceName = None,
    bearer_token_file: TokenFile = None,
    ca_file: CaFile = None,
    engine: Engine = None,
    ttft: Ttft = "2s",
    itl: Itl = "200ms",
    target: Target = "0.99",
    policy: Policies = None,
    provision: Provision = "120s",
    tune_days: TuneDays = 1.0,
    sweep: Sweep = False,
    forecast_only: ForecastOnly = False,
    seeds: Seeds = None,
    days: Days = None,
    max_replicas: MaxReplicas = None,
    as_json: JsonOption = False,
    schedule_out: ScheduleOut = None,
    html: HtmlOut = None,
    jobs: Jobs = 1,
    dask: Dask = None,
) -> None:
    """Replays recorded demand under Foresail and its peers."""
    with extra_packages():
        from foresail.backtest.command import Wanted
        from foresail.backtest.options import Options, duration_option, share_option
        from foresail.backtest.trace_file import default_engine

        if prometheus is None:
            source = _trace_source(trace, model=model, scale=scale, service=service)
        else:
            _refuse_trace_options(trace, model=model, scale=scale)
            source = _history_source(prometheus, since, service, bearer_token_file, ca_file)
        options = Options(
            source=source,
            engine=engine or default_engine(trace),
            time_to_first_token_seconds=duration_option("--ttft", ttft),
            output_token_seconds=duration_option("--itl", itl),
            target_ratio=share_option("--target", target),
            provision_seconds=duration_option("--provision", provision),
            tune_days=0.0 if forecast_only else tune_days,  # a forecast is not tuned
            days=days,
            max_replicas=max_replicas,
            seeds=seeds or _default_seeds(prometheus),
            policies=tuple(policy or ()),
            is_sweep=sweep,
        )
        if forecast_only:
            _print_forecast(options, as_json=as_json)
        else:
            wanted = Wanted(
                schedule_path=schedule_out, page_path=html, jobs=jobs, dask_address=dask
            )
            _print_replays(options, wanted=wanted, as_json=as_json)


def _default_seeds(prometheus: str | None) -> int:
    return RECORDED_SEEDS if prometheus is None else RECONSTRUCTED_SEEDS


def _print_forecast(options: "Options", *, as_json: bool) -> None:
    from foresail.backtest.command import score_forecast
    from foresail.backtest.forecast_only import EXPLAINED, table_rows

    scores = score_forecast(options)
    if as_json:
        print_json(scores)
        return
    columns, *rows = table_rows(scores)
    print_table(columns, rows)
    print()
    print(EXPLAINED)


def _print_replays(options: "Options", *, wanted: "Wanted", as_json: bool) -> None:
    from foresail.backtest.command import run

    report = run(options, wanted=wanted)
    if as_json:
        print_json(report)
    else:
        _print_report(report)


@contextlib.contextmanager
def extra_packages() -> Iterator[None]:
    """Names the extra that is missing, in place of a module nobody asked for."""
    try:
        yield
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        for extra, packages in (("backtest", EXTRA_PACKAGES), ("dask", DASK_PACKAGES)):
            if package in packages:
                raise typer.BadParameter(
                    f"this needs the Python package {package!r}, not installed here; install it with: "
                    f"pip install 'foresail[{extra}]'"
                ) from missing
        raise


def _trace_source(
    trace: str | None, *, model: str | None, scale: int | None, service: str | None
) -> "TraceSource | HistorySource":
    from foresail.backtest.options import TraceSource
    from foresail.backtest.trace_file import default_scale

    if trace is None:
        raise typer.BadParameter("give --trace FILE.parquet, --trace example, or --prometheus URL")
    if service is not None:
        raise typer.BadParameter("--service goes with --prometheus; a trace has --model")
    return TraceSource(file=trace, model=model, scale=scale or default_scale(trace))


def _history_source(
    url: str, since: str, service: str | None, token_file: Path | None, ca_file: Path | None
) -> "TraceSource | HistorySource":
    from foresail.backtest.options import HistorySource, duration_option
    from foresail.settings.words import prometheus_url

    try:
        checked = prometheus_url(url)
    except ValueError as error:
        raise typer.BadParameter(f"--prometheus {url}: {error}") from error
    return HistorySource(
        url=checked,
        since_seconds=duration_option("--since", since),
        service=service,
        bearer_token_path=token_file,
        ca_path=ca_file,
    )


def _refuse_trace_options(trace: str | None, *, model: str | None, scale: int | None) -> None:
    if trace is not None:
        raise typer.BadParameter("give --trace or --prometheus, not both")
    if model is not None:
        raise typer.BadParameter("--model goes with --trace; Prometheus has --service")
    if scale is not None:
        raise typer.BadParameter("--scale goes with --trace; history is replayed as it was")


def _print_report(report: "Report") -> None:
    from foresail.backtest.table import COLUMNS, ESSENTIAL, footnotes, heading, table_rows

    for line in heading(report.subject):
        print(line)
    print()
    has_room = print_table(COLUMNS, table_rows(report), essential=ESSENTIAL)
    print()
    if not has_room:
        print("knobs and more columns: on a wider terminal, with --html, or with --json")
    for line in footnotes(report):
        print(line)

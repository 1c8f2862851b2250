"""What a backtest is put together from: demand from a file or a Prometheus, and who runs its cells.

In: checked options. Out: a `Demand`; a runner. The only part of it that names the Prometheus adapter.
"""

from dataclasses import replace

from autoscaler.replay.workload import Workload
from collector.clock import SystemClock
from collector.contract.loader import load_contracts
from collector.model.replica import EngineKind
from foresail.backtest.engine_fit import fitted_engine
from foresail.backtest.engine_row import FIT
from foresail.backtest.history_reader import HistoryReader, Window
from foresail.backtest.options import HistorySource, Options, TraceSource
from foresail.backtest.prepare import Demand
from foresail.backtest.reconstruct import reconstructed
from foresail.backtest.runners import DaskRunner, LocalRunner, ProcessRunner, Progress
from foresail.backtest.step_history import StepHistoryReader
from foresail.backtest.study import RunCells
from foresail.backtest.superpose import superposed
from foresail.backtest.trace_file import read_trace
from foresail.settings import PrometheusSettings
from foresail.wiring.prometheus import opened

SCALE_SEED = 0
FITTED_SECONDS = 7 * 86_400.0
"""Of history at most: an engine is not always what it was, and every engine has its own series."""
QUERY_TIMEOUT_SECONDS = 60.0
"""A query over weeks takes Prometheus longer than one for now."""


def read_demand(options: Options) -> Demand:
    """The requests to replay. Raises ConfigurationError, and SourceError for a server that fails."""
    match options.source:
        case TraceSource() as source:
            return _recorded(source)
        case HistorySource() as source:
            return _reconstructed(source, options=options)


def make_runner(progress: Progress, *, jobs: int, dask_address: str | None) -> RunCells:
    """Dask where an address is given, else so many processes, 1 being this one."""
    if dask_address is not None:
        return DaskRunner(progress, address=dask_address)
    return LocalRunner(progress) if jobs == 1 else ProcessRunner(progress, processes=jobs)


def _recorded(source: TraceSource) -> Demand:
    trace = read_trace(source.file, model=source.model)
    workload: Workload = superposed(trace.workload, copies=source.scale, seed=SCALE_SEED)
    return Demand(
        name=trace.name,
        model=trace.model,
        workloads=(workload,),
        scale=source.scale,
        notes=(trace.note,) if trace.note else (),
    )


def _reconstructed(source: HistorySource, *, options: Options) -> Demand:
    clock = SystemClock()
    now = clock.timestamp_seconds()
    window = Window(start_timestamp_seconds=now - source.since_seconds, end_timestamp_seconds=now)
    settings = PrometheusSettings(
        url=source.url,
        timeout_seconds=QUERY_TIMEOUT_SECONDS,
        bearer_token_path=source.bearer_token_path,
        ca_path=source.ca_path,
    )
    contract = load_contracts().engines[EngineKind.VLLM]
    with opened(settings, wanted_by="the source of a backtest", clock=clock) as reader:
        history = HistoryReader(reader, contract=contract, window=window)
        service = history.service(source.service)
        binned = history.demand(service)
        fit = None
        if options.engine == FIT:
            steps = StepHistoryReader(
                reader,
                contract=contract,
                window=window.newest(FITTED_SECONDS),
                bin_seconds=binned.bin_seconds,
            )
            fit = fitted_engine(steps.steps(service))
    demand = reconstructed(binned, name=service, seeds=options.seeds)
    if fit is None:
        return demand
    return replace(demand, engine=fit.engine, notes=(*demand.notes, fit.note))

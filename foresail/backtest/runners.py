"""Who runs the cells: this process, several local ones, or an existing Dask cluster.

In: a problem and cells. Out: their results in the order of the cells, whoever was done first. Each
runner tells a `Progress` when a cell is done. Calls no policy by itself.
"""

import multiprocessing
import pickle
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Protocol

from collector.errors import ConfigurationError, TransientSourceError
from foresail.backtest.cell import Cell, CellResult, Problem, Stage, run_cell

DASK_TIMEOUT_SECONDS = 10.0
DASK_ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss)://)?[\w.\-\[\]:]+:\d{1,5}")


class Progress(Protocol):
    """Shown to a person who waits."""

    def begin(self, stage: Stage, *, count: int) -> None:
        """So many cells of a stage begin."""
        ...

    def advance(self, result: CellResult) -> None:
        """One of them is done, in any order."""
        ...


class LocalRunner:
    """One cell after the other, here."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, problem: Problem, cells: Sequence[Cell]) -> Sequence[CellResult]:
        """Their results."""
        _begin(self._progress, cells)
        return [_told(run_cell(problem, cell), self._progress) for cell in cells]


class ProcessRunner:
    """Several at once, in processes of their own that end with the call."""

    def __init__(self, progress: Progress, *, processes: int) -> None:
        self._progress = progress
        self._processes = processes

    def __call__(self, problem: Problem, cells: Sequence[Cell]) -> Sequence[CellResult]:
        """Their results."""
        _begin(self._progress, cells)
        # Not forked: the replay's compiled code and its threads may be loaded here already.
        context = multiprocessing.get_context("spawn")
        workers = max(1, min(self._processes, len(cells)))
        with (
            TemporaryDirectory(prefix="foresail-") as folder,
            ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool,
        ):
            path = Path(folder) / "problem"
            with path.open("wb") as file:
                pickle.dump(problem, file, protocol=pickle.HIGHEST_PROTOCOL)
            futures = [pool.submit(_run_kept, path, cell) for cell in cells]
            try:
                for done in as_completed(futures):
                    self._progress.advance(done.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [each.result() for each in futures]


class DaskRunner:
    """On the workers of a Dask cluster; they need the same Foresail installed."""

    def __init__(self, progress: Progress, *, address: str) -> None:
        self._progress = progress
        self._address = address

    def __call__(self, problem: Problem, cells: Sequence[Cell]) -> Sequence[CellResult]:
        """Their results. Raises TransientSourceError when the cluster is not there."""
        distributed = import_module("distributed")  # an extra, and slow to import
        _begin(self._progress, cells)
        with _connected(distributed, self._address) as client:
            shared = client.scatter(problem, broadcast=True)
            futures = [client.submit(run_cell, shared, cell, pure=False) for cell in cells]
            for done in distributed.as_completed(futures):
                self._progress.advance(done.result())
            return [each.result() for each in futures]


def _connected(distributed: ModuleType, address: str) -> Any:  # noqa: ANN401  its client
    if not DASK_ADDRESS.fullmatch(address):
        raise ConfigurationError(
            f"--dask {address}: is no address of a scheduler; give one such as tcp://10.0.0.5:8786"
        )
    try:
        return distributed.Client(address, timeout=DASK_TIMEOUT_SECONDS)
    except (OSError, TimeoutError) as error:
        raise TransientSourceError(
            f"--dask {address}: no scheduler answered within {DASK_TIMEOUT_SECONDS:.0f} s; start one "
            "with `dask scheduler`, or use --jobs"
        ) from error


def _begin(progress: Progress, cells: Sequence[Cell]) -> None:
    if cells:
        progress.begin(cells[0].stage, count=len(cells))


def _told(result: CellResult, progress: Progress) -> CellResult:
    progress.advance(result)
    return result


def _run_kept(path: Path, cell: Cell) -> CellResult:
    return run_cell(_kept(path), cell)


@lru_cache(maxsize=1)
def _kept(path: Path) -> Problem:
    """Read once by each worker process."""
    with path.open("rb") as file:
        problem: Problem = pickle.load(file)  # noqa: S301  written by us a moment ago
    return problem

"""Binned history as demand of a backtest: one realisation per seed, and what is not in it, said.

In: `BinnedDemand`. Out: `Demand`, labelled as reconstructed. Raises ConfigurationError for a history
without requests. Pure.
"""

from collector.errors import ConfigurationError
from foresail.backtest.binned import BinnedDemand
from foresail.backtest.prepare import Demand
from foresail.backtest.realise import realise


def reconstructed(demand: BinnedDemand, *, name: str, seeds: int) -> Demand:
    """The demand of a service as history tells it."""
    try:
        workloads = tuple(realise(demand, seed=seed) for seed in range(seeds))
    except ValueError as error:
        raise ConfigurationError(
            f"{name}: {error} in this time; ask for a longer --since"
        ) from error
    if not all(map(len, workloads)):
        raise ConfigurationError(f"{name}: had no requests in this time; ask for a longer --since")
    return Demand(
        name=name,
        model=None,
        workloads=workloads,
        is_reconstructed=True,
        notes=(
            f"reconstructed from counts per {demand.bin_seconds:g} s and length histograms per "
            f"{demand.stretch_seconds / 3600:g} h: bursts shorter than that, and ties between the lengths of prompt and "
            "answer, are not in it",
            f"{demand.measured_ratio:.1%} of the time was measured; holes were bridged in a straight line",
        ),
    )

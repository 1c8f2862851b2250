"""What a Prometheus that scrapes vLLM knows of the steps of one service's engines, bin by bin.

In: a `RangeReader`, the contract's names, a stretch of time. Out: `StepHistory`: a row per engine and
bin in which it gave tokens, and the engine's KV cache. For `engine_fit`. Raises ConfigurationError
where a series is not there, SourceError where it cannot be read.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.replay.workload import FloatArray
from collector.errors import ConfigurationError, TransientSourceError
from collector.model.contract import Contract, EngineSignal, SeriesSource
from collector.ports import RangeReader, RangeSeries
from foresail.backtest.history_reader import SERVICE_LABEL, Window, escaped

TARGET_LABEL: Final = "instance"
"""One engine: Prometheus gives it to every target."""
Values = Mapping[tuple[str, float], float]
"""{(engine, end of the bin): increase in it}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHistory:
    """Rows of all engines, in no order that means anything. Each array has the shape (n_rows,)."""

    step_seconds: FloatArray  # mean time between two tokens, which is that of a step
    output_tokens_per_second: FloatArray  # of one engine
    prompt_tokens_per_second: FloatArray  # computed ones
    kv_capacity_tokens: int  # of the smallest engine


class StepHistoryReader:
    """Asks for one window, in bins of whole seconds that hold two scrapes or more."""

    def __init__(
        self, reader: RangeReader, *, contract: Contract, window: Window, bin_seconds: float
    ) -> None:
        self._reader = reader
        self._contract = contract
        self._window = window.aligned(bin_seconds)
        self._bin_seconds = bin_seconds

    def steps(self, service: str) -> StepHistory:
        """Everything about one service; rows of bins without tokens are left out."""
        gaps = self._increases(EngineSignal.INTER_TOKEN_LATENCY, service, suffix="_count")
        seconds = self._increases(EngineSignal.INTER_TOKEN_LATENCY, service, suffix="_sum")
        output = self._increases(EngineSignal.OUTPUT_TOKENS_TOTAL, service)
        prompt = self._increases(EngineSignal.PROMPT_TOKENS_TOTAL, service)
        rows = np.array(
            [
                (seconds[key] / gaps[key], output[key], prompt[key])
                for key in sorted(gaps.keys() & seconds.keys() & output.keys() & prompt.keys())
                if gaps[key] > 0 and seconds[key] > 0
            ]
        ).reshape(-1, 3)
        return StepHistory(
            step_seconds=rows[:, 0],
            output_tokens_per_second=rows[:, 1] / self._bin_seconds,
            prompt_tokens_per_second=rows[:, 2] / self._bin_seconds,
            kv_capacity_tokens=self._kv_capacity({engine for engine, _ in gaps}),
        )

    def _increases(self, signal: EngineSignal, service: str, *, suffix: str = "") -> Values:
        window = f"[{self._bin_seconds:g}s]"
        matcher = f'{SERVICE_LABEL}="{escaped(service)}"'
        query = " or ".join(
            f"sum by ({TARGET_LABEL}) (increase({name}{suffix}{{{matcher}{_selected(source)}}}{window}))"
            for source in self._contract.rules[signal].sources
            for name in source.names
        )
        found = {
            (each.labels.get(TARGET_LABEL, ""), at): value
            for each in self._series(query)
            for at, value in each.points
            if math.isfinite(value)
        }
        if not found:
            self._refuse(signal, suffix=suffix)
        return found

    def _kv_capacity(self, engines: set[str]) -> int:
        """The product of the labels that tell it. Their series has no service; the engine tells whose."""
        sources = self._contract.rules[EngineSignal.KV_CAPACITY_TOKENS].sources
        for source in sources:
            told = [
                _product(each.labels, source=source)
                for each in self._series(" or ".join(source.names))
                if each.labels.get(TARGET_LABEL, "") in engines
            ]
            if known := [each for each in told if each is not None]:
                return min(known)
        self._refuse(EngineSignal.KV_CAPACITY_TOKENS, suffix="")
        raise AssertionError

    def _refuse(self, signal: EngineSignal, *, suffix: str) -> None:
        (name, *_) = self._contract.rules[signal].sources[0].names
        raise ConfigurationError(
            f"--engine fit: Prometheus has no {name}{suffix} of this service in this time; scrape it, or "
            "name the row that is nearest to your engine (`foresail emulate --rows`)"
        )

    def _series(self, query: str) -> Sequence[RangeSeries]:
        answer = self._reader.read_range(
            query,
            start_timestamp_seconds=self._window.start_timestamp_seconds + self._bin_seconds,
            end_timestamp_seconds=self._window.end_timestamp_seconds,
            step_seconds=self._bin_seconds,
        )
        if answer.errors:
            raise TransientSourceError(answer.errors[0])
        return answer.series


def _selected(source: SeriesSource) -> str:
    """Further matchers, of sources that tell several things under one name."""
    pairs = ((label, "|".join(sorted(values))) for label, values in source.select.items())
    return "".join(f',{label}=~"{values}"' for label, values in pairs)


def _product(labels: Mapping[str, str], *, source: SeriesSource) -> int | None:
    try:
        value = math.prod(int(labels[name]) for name in source.value_labels)
    except (KeyError, ValueError):
        return None
    return value if value > 0 else None

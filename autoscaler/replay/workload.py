"""The requests of one service over time, as columns. First thing a replay needs.

Made from trace files, from binned history or by tests; used by the plant and the score. Values only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MAX_TOKENS = 10_000_000
"""No request is as long; a column above it holds something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests in order of arrival. Shapes: all (n_requests,). Raises ValueError for what is no trace."""

    arrival_seconds: FloatArray  # since the start of the trace, rising, >= 0
    prompt_tokens: IntArray  # 1 or more
    output_tokens: IntArray  # 1 or more

    def __post_init__(self) -> None:
        columns = (self.arrival_seconds, self.prompt_tokens, self.output_tokens)
        if len({len(column) for column in columns}) != 1:
            lengths = ", ".join(str(len(column)) for column in columns)
            raise ValueError(f"columns differ in length ({lengths}); give one value per request")
        _check_arrivals(self.arrival_seconds)
        _check_tokens("prompt_tokens", self.prompt_tokens)
        _check_tokens("output_tokens", self.output_tokens)

    def __len__(self) -> int:
        return len(self.arrival_seconds)

    @property
    def end_seconds(self) -> float:
        """When the last request arrives; 0 without any."""
        return float(self.arrival_seconds[-1]) if len(self) else 0.0

    def between(self, start_seconds: float, end_seconds: float) -> "Workload":
        """Those arriving in [start, end), counted from `start`."""
        first, last = np.searchsorted(self.arrival_seconds, (start_seconds, end_seconds))
        return Workload(
            arrival_seconds=self.arrival_seconds[first:last] - start_seconds,
            prompt_tokens=self.prompt_tokens[first:last],
            output_tokens=self.output_tokens[first:last],
        )


def _check_arrivals(arrivals: FloatArray) -> None:
    if not len(arrivals):
        return
    if not np.isfinite(arrivals).all() or arrivals[0] < 0:
        raise ValueError("arrival_s must be finite and 0 or more; the trace has another value")
    falling = np.flatnonzero(np.diff(arrivals) < 0)
    if len(falling):
        row = int(falling[0]) + 1
        raise ValueError(f"arrival_s falls at row {row}; sort the trace by arrival")


def _check_tokens(name: str, tokens: IntArray) -> None:
    wrong = np.flatnonzero((tokens < 1) | (tokens > MAX_TOKENS))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{name} is {int(tokens[row])} at row {row}; it must be between 1 and {MAX_TOKENS}"
        )

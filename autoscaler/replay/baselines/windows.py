"""Values of the last so many seconds, as peers average and remember them. Pure, no law of its own.

In: a value per look. Out: mean, largest, smallest of those not older than the window. Used by the
laws beside it.
"""

from collections import deque


class TimeWindow:
    """Values younger than the window; a value exactly as old as the window has left it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: deque[tuple[float, float]] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, value: float, *, now_seconds: float) -> None:
        """Remembers a value and forgets those that are too old. A window of 0 s keeps the last one."""
        self._kept.append((now_seconds, value))
        while len(self._kept) > 1 and now_seconds - self._kept[0][0] >= self._seconds:
            self._kept.popleft()

    def mean(self) -> float:
        """Of all in the window. Raises ZeroDivisionError when nothing was ever added."""
        return sum(value for _, value in self._kept) / len(self._kept)

    def largest(self) -> float:
        """Raises ValueError when nothing was ever added."""
        return max(value for _, value in self._kept)

    def smallest(self) -> float:
        """Raises ValueError when nothing was ever added."""
        return min(value for _, value in self._kept)

    def clear(self) -> None:
        """As new."""
        self._kept.clear()


class WindowedLengths:
    """Mean tokens of requests over the last so many seconds, from totals that grow from 0 at 0 s."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks: deque[tuple[float, int, int, int]] = deque([(0.0, 0, 0, 0)])
        self._last: tuple[float, float] | None = None

    def mean_tokens(
        self, *, now_seconds: float, requests: int, prompt_tokens: int, output_tokens: int
    ) -> tuple[float, float] | None:
        """(prompt, output) of the mean completed request; the last known without any, else None."""
        self._looks.append((now_seconds, requests, prompt_tokens, output_tokens))
        while len(self._looks) > 2 and now_seconds - self._looks[1][0] >= self._seconds:
            self._looks.popleft()
        _, requests_then, prompt_then, output_then = self._looks[0]
        completed = requests - requests_then
        if completed > 0:
            prompt = (prompt_tokens - prompt_then) / completed
            self._last = (prompt, (output_tokens - output_then) / completed)
        return self._last

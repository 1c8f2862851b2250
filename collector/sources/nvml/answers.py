"""What the library answered or failed to answer, as readings and as problems.

In: one call at a time. Out: `Fresh`, or `Missing` with the reason its error code stands for. Knows
which code means what; asks nothing of its own accord.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import pynvml  # type: ignore[import-untyped]  # ships no types; all of it is Any

from collector.model.reading import Fresh, Missing, MissingReason, Number, Reading
from collector.model.snapshot import Problem

T = TypeVar("T")

SOURCE: Final = "nvml"
_NOT_AVAILABLE: Final = frozenset({(1 << 32) - 1, (1 << 64) - 1})
"""What a field holds that has no value. Source: nvml.h, NVML_VALUE_NOT_AVAILABLE."""

REASONS: Final = {
    pynvml.NVML_ERROR_NOT_SUPPORTED: MissingReason.CANNOT_SEE,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: MissingReason.CANNOT_SEE,  # an older library
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: MissingReason.CANNOT_SEE,
    pynvml.NVML_ERROR_DEPRECATED: MissingReason.CANNOT_SEE,
    pynvml.NVML_ERROR_INVALID_ARGUMENT: MissingReason.CANNOT_SEE,  # a field it does not know
    pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED: MissingReason.CANNOT_SEE,
    pynvml.NVML_ERROR_NO_PERMISSION: MissingReason.CANNOT_SEE,
    pynvml.NVML_ERROR_NO_DATA: MissingReason.SERIES_ABSENT,
    pynvml.NVML_ERROR_NOT_FOUND: MissingReason.SERIES_ABSENT,
}
"""{error code: why there is no value}; every other code means that the GPU could not be asked."""

_NEEDS_SOMEBODY: Final = frozenset({pynvml.NVML_ERROR_NO_PERMISSION})
"""Codes that are a problem although the reason says that nothing is broken."""


@dataclass(slots=True)
class XidTally:
    """XIDs of one GPU since it is watched."""

    counts: Counter[int]
    last: int | None

    def add(self, xid: int) -> None:
        """One more."""
        self.counts[xid] += 1
        self.last = xid


class Answers:
    """The answers of one GPU; lives for one look at it."""

    def __init__(self, *, now_timestamp_seconds: float, name: str) -> None:
        self.codes: dict[str, int] = {}  # {what was asked: error code}
        self._now = now_timestamp_seconds
        self._name = name

    def ask(self, what: str, call: Callable[[], T]) -> Reading[T]:
        """The call's result, or why there is none."""
        try:
            value = call()
        except pynvml.NVMLError as error:
            return self.failed(what, code=error.value)
        except UnicodeDecodeError:
            return Missing(reason=MissingReason.NOT_A_NUMBER, source=SOURCE)
        return self.fresh(value)

    def number(self, what: str, call: Callable[[], float], *, factor: float = 1.0) -> Number:
        """Like `ask`, in base units; a value that stands for "none" is none."""
        raw = self.ask(what, call)
        if isinstance(raw, Missing):
            return raw
        return self.plain_number(raw.value, factor=factor)

    def plain_number(self, raw: float | None, *, factor: float = 1.0) -> Number:
        """A value that was told already; None where the library has no such field."""
        if raw is None:
            return Missing(reason=MissingReason.CANNOT_SEE, source=SOURCE)
        if raw in _NOT_AVAILABLE or not math.isfinite(raw) or raw < 0:
            return Missing(reason=MissingReason.NOT_A_NUMBER, source=SOURCE)
        return self.fresh(raw * factor)

    def failed(self, what: str, *, code: int) -> Missing:
        """Notes the failure for `problems`."""
        self.codes[what] = code
        reason = REASONS.get(code, MissingReason.SOURCE_UNREACHABLE)
        return Missing(reason=reason, source=SOURCE)

    def fresh(self, value: T) -> Fresh[T]:
        """A value told now."""
        return Fresh(value=value, observed_timestamp_seconds=self._now, source=SOURCE)

    def problems(self) -> tuple[Problem, ...]:
        """One line per error code, not one per call: a lost GPU fails all of them."""
        by_code: dict[int, list[str]] = {}
        for what, code in self.codes.items():
            if code not in REASONS or code in _NEEDS_SOMEBODY:
                by_code.setdefault(code, []).append(what)
        return tuple(
            Problem(source=SOURCE, message=self._line(code, whats))
            for code, whats in by_code.items()
        )

    def _line(self, code: int, whats: list[str]) -> str:
        shown = ", ".join(whats[:3]) + (f" and {len(whats) - 3} more" if len(whats) > 3 else "")
        return f"{self._name}: {pynvml.NVMLError(code)} (NVML {code}), so there is no {shown}"

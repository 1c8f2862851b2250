"""Pages of one target over time, derived from a recorded page: other values each time, same series."""

import random
from collections.abc import Iterator

_CONSTANT = ("engine_sleep_state", "_info{")
"""Series whose value is a fact, not a measurement: any other value would contradict the page."""


def changing_pages(text: str, *, count: int, seed: int = 0) -> Iterator[str]:
    """`count` pages in which every measured value differs from all other pages.

    A value grows with its place on the page, so that cumulative buckets go on rising.
    """
    chance = random.Random(seed)
    lines = text.splitlines()
    for number in range(count):
        factor, step = 1.0 + chance.random(), 0.001 * (number + chance.random())
        yield "".join(
            f"{_changed(line, factor=factor, more=step * (place + 1))}\n"
            for place, line in enumerate(lines)
        )


def _changed(line: str, *, factor: float, more: float) -> str:
    if not line or line.startswith("#") or any(word in line for word in _CONSTANT):
        return line
    series, _, value = line.rpartition(" ")
    return f"{series} {float(value) * factor + more}"

"""A plot's frame in SVG: where values land on the paper, axes with ticks, lines and bands.

In: ranges and points in their own units. Out: SVG text that inherits its colours from the page. Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Point = tuple[float, float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 14.0, 10.0, 34.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One direction of the plot; `scale` is monotonic and maps a value to a length."""

    low: float
    high: float
    label: str
    ticks: tuple[Tick, ...]
    scale: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - low) / (high - low) if high != low else 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A plot of fixed size in its own units; the page scales it."""

    width: float
    height: float
    x: Axis
    y: Axis

    def at(self, point: Point) -> Point:
        """Where it is on the paper."""
        across = _LEFT + self.x.share(point[0]) * (self.width - _LEFT - _RIGHT)
        down = self.height - _BOTTOM - self.y.share(point[1]) * (self.height - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    def line(self, points: Iterable[Point], *, kind: str) -> str:
        """A line through the points."""
        return f'<polyline class="{kind}" points="{self._points(points)}"/>'

    def steps(self, points: Sequence[Point], *, kind: str) -> str:
        """Each value holds until the next."""
        corners: list[Point] = []
        for point in points:
            if corners:
                corners.append((point[0], corners[-1][1]))
            corners.append(point)
        return self.line(corners, kind=kind)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], *, kind: str) -> str:
        """What lies between two lines."""
        return f'<polygon class="{kind}" points="{self._points([*lower, *reversed(upper)])}"/>'

    def drawing(self, parts: Iterable[str], *, title: str) -> str:
        """The whole picture, axes behind the parts."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(title)}">'
            f"{self._axes()}{''.join(parts)}</svg>"
        )

    def _points(self, points: Iterable[Point]) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in map(self.at, points))

    def _axes(self) -> str:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        parts = []
        for tick in self.y.ticks:
            _, y = self.at((self.x.low, tick.at))
            parts.append(f'<line class="grid" x1="{_LEFT:g}" y1="{y}" x2="{right:g}" y2="{y}"/>')
            parts.append(f'<text x="{_LEFT - 6:g}" y="{y + 4:g}" class="end">{tick.label}</text>')
        for tick in self.x.ticks:
            x, _ = self.at((tick.at, self.y.low))
            parts.append(f'<line class="grid" x1="{x}" y1="{_TOP:g}" x2="{x}" y2="{bottom:g}"/>')
            parts.append(f'<text x="{x}" y="{bottom + 15:g}" class="mid">{tick.label}</text>')
        middle = (_LEFT + right) / 2
        parts.append(
            f'<text x="{middle:g}" y="{self.height - 3:g}" class="mid axis">{self.x.label}</text>'
        )
        parts.append(
            f'<text transform="translate(12 {(_TOP + bottom) / 2:g}) rotate(-90)" class="mid axis">'
            f"{self.y.label}</text>"
        )
        return "".join(parts)


def hour_ticks(low: float, high: float, *, count: int) -> tuple[Tick, ...]:
    """About so many at hours as clocks have them, then at whole days."""
    raw = (high - low) / max(1, count)
    step = next((each for each in (0.25, 0.5, 1, 2, 3, 6, 12) if each >= raw), 24 * ceil(raw / 24))
    places = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
    return tuple(Tick(at=place * step, label=f"{place * step:g}") for place in places)


def round_ticks(low: float, high: float, *, count: int) -> tuple[Tick, ...]:
    """About so many at round numbers within the range."""
    if high <= low:
        return (Tick(at=low, label=f"{low:g}"),)
    raw = (high - low) / max(1, count)
    size = 10.0 ** floor(log10(raw))
    step = next(size * each for each in (1, 2, 5, 10) if size * each >= raw)
    first = ceil(low / step - 1e-9)
    return tuple(
        Tick(at=place * step, label=f"{place * step:g}")
        for place in range(first, floor(high / step + 1e-9) + 1)
    )

"""One chart as inline SVG.

Colours are CSS variables (``--exports`` …) that the page around it defines, so
that light and dark need no second drawing. Sizes are in the SVG's own units; the
page scales it to its width.
"""

from __future__ import annotations

import itertools
import math
from html import escape

from sluiceway.demo.charts import Chart, Charts, Mark, Points, Series
from sluiceway.demo.words import duration

WIDTH, HEIGHT = 880, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 8, 26
_POWERS = range(-4, 4)


def svg(charts: Charts, chart: Chart) -> str:
    """One of the charts, over the time axis that all of them share."""
    scale = _Scale(charts, chart)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">',
        *(_grid_line(scale.y(value), words) for value, words in scale.ticks),
        *(_time_mark(scale.x(second), second) for second in _seconds(charts)),
        *(_series(series, scale) for series in chart.series),
        "</svg>",
    ]
    return "\n".join(parts)


class _Scale:
    """From seconds and values to the SVG's units."""

    def __init__(self, charts: Charts, chart: Chart) -> None:
        self._charts = charts
        self._log = chart.in_seconds
        values = [y for series in chart.series for _, y in series.points if y > 0]
        if self._log:
            self._low = math.log10(min(values, default=0.001) / 1.5)
            self._high = math.log10(max(values, default=1.0) * 1.6)
            self.ticks = [(10.0**p, _power(p)) for p in _POWERS if self._low <= p <= self._high]
        else:
            self._low, self._high = 0.0, max(1.0, *values)
            step = _step(self._high)
            self.ticks = [(float(n), f"{n:,}") for n in range(0, math.floor(self._high) + 1, step)]

    def shows(self, second: float) -> bool:
        """Whether a moment lies on the time axis."""
        return self._charts.start <= second <= self._charts.end

    def x(self, second: float) -> float:
        share = (second - self._charts.start) / (self._charts.end - self._charts.start)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        if self._log:
            value = math.log10(max(value, 10**self._low))
        share = (value - self._low) / (self._high - self._low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _series(series: Series, scale: _Scale) -> str:
    if series.mark is Mark.DOTS:
        dots = "".join(
            f'<circle cx="{scale.x(x):.1f}" cy="{scale.y(y):.1f}" r="2.6">'
            f"<title>{escape(series.label)}, {x:.1f} s: {duration(y)}</title></circle>"
            for x, y in series.points
            if scale.shows(x)
        )
        return f'<g class="dots {series.role}">{dots}</g>'
    path = _staircase(series.points, scale)
    if series.mark is Mark.LINE:
        return f'<path class="line {series.role}" d="{path}"/>'
    floor = scale.y(0)
    first, last = scale.x(series.points[0][0]), scale.x(series.points[-1][0])
    return (
        f'<path class="area {series.role}" d="{path} L{last:.1f} {floor:.1f} '
        f'L{first:.1f} {floor:.1f} Z"/>'
    )


def _staircase(points: Points, scale: _Scale) -> str:
    (x, y), *rest = points
    return f"M{scale.x(x):.1f} {scale.y(y):.1f}" + "".join(
        f" H{scale.x(x):.1f} V{scale.y(y):.1f}" for x, y in rest
    )


def _grid_line(y: float, words: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
    )


def _time_mark(x: float, second: int) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{second} s</text>'


def _seconds(charts: Charts) -> range:
    step = _step(charts.end, at_most=8)
    return range(0, math.floor(charts.end) + 1, step)


def _step(most: float, at_most: int = 5) -> int:
    """The smallest of 1, 2, 5, 10, 20 … that needs no more marks than ``at_most``."""
    step, factors = 1, itertools.cycle((2.0, 2.5, 2.0))
    while most / step > at_most:
        step = round(step * next(factors))
    return step


def _power(power: int) -> str:
    return f"{10**power:,} s" if power >= 0 else f"{10 ** (power + 3):g} ms"

"""The two charts that tell the story at a glance, as one small SVG for a front page.

It stands alone: its colours are inside, on a ground of its own, so that a page in dark
letters or light ones shows it alike. Points lose their hover texts, to stay small.
"""

from __future__ import annotations

import re
from html import escape

from sluiceway.demo.charts import Chart, Charts, Role
from sluiceway.demo.svg import HEIGHT, WIDTH, svg

SHOWN = ("The light page", "Workers")
_HEAD = 52
_COLOURS = {
    Role.BEFORE: "#cc4355",
    Role.AFTER: "#1f8f82",
    Role.EXPORTS: "#3b6fb6",
    Role.EMAILS: "#c9862a",
}
_STYLE = f"""\
svg {{ font: 11.5px system-ui, sans-serif; fill: #6a737d }}
.title {{ font-size: 15px; font-weight: 600; fill: #24292f }}
.grid {{ stroke: #e6e8eb }}
.before {{ fill: {_COLOURS[Role.BEFORE]} }} .after {{ fill: {_COLOURS[Role.AFTER]} }}
.dots {{ fill-opacity: .55 }}
.area {{ fill: {_COLOURS[Role.EXPORTS]}; fill-opacity: .25 }}
.line {{ fill: none; stroke: {_COLOURS[Role.EXPORTS]}; stroke-width: 2 }}
.line.emails {{ stroke: {_COLOURS[Role.EMAILS]} }}
"""


def front(charts: Charts, headline: str) -> str:
    """The picture.

    Args:
        headline: what is to be seen, in a sentence; it stands for the picture where it
            is read aloud.
    """
    shown = [chart for chart in charts.charts if chart.title in SHOWN]
    each = HEIGHT + _HEAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {each * len(shown)}" '
        f'role="img" aria-label="{escape(headline)}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff" rx="6"/>',
    ]
    for number, chart in enumerate(shown):
        parts.append(f'<g transform="translate(0 {number * each})">{_head(chart)}</g>')
        parts.append(
            f'<g transform="translate(0 {number * each + _HEAD})">{_body(charts, chart)}</g>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _head(chart: Chart) -> str:
    labels = {series.label: series.role for series in chart.series}
    legend = "".join(
        f'<tspan dx="14" fill="{_COLOURS[role]}">{escape(label)}</tspan>'
        for label, role in labels.items()
    )
    return (
        f'<text class="title" x="16" y="26">{escape(chart.title)}</text>'
        f'<text x="16" y="43">{escape(chart.note)}{legend}</text>'
    )


def _body(charts: Charts, chart: Chart) -> str:
    """The chart's drawing without its own frame and hover texts."""
    _, *inner, _ = svg(charts, chart).splitlines()
    return re.sub(r"<title>.*?</title></circle>", "</circle>", "".join(inner)).replace(
        "></circle>", "/>"
    )

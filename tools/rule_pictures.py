"""Draws what the rule does on traces of the suite, as small SVGs for the pages.

The traces come from their seeds and the simulator reads no clock, so the same code draws
the same pictures, byte for byte.

    python tools/rule_pictures.py            # into docs/images/
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.simulate.compare import CLAIRVOYANT, KEDA_TUNED, OURS, Case, compare
from sluiceway.simulate.curves import curves
from sluiceway.simulate.ours import BUSY_TICK_S, MONDAY
from sluiceway.simulate.picture import COLOURS
from sluiceway.simulate.suite import suite
from sluiceway.simulate.world import Plant

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
SHOWN = {
    "bursts": "500 tasks at once every 20 minutes, over a trickle",
    "diurnal": "From a task every two seconds to 20 a second and back, twice",
}
POLICIES = {CLAIRVOYANT: "who knows the future", KEDA_TUNED: "KEDA, tuned", OURS: "Sluiceway"}
"""The last lies on top."""

_EACH = 3
"""So many columns of the curves are drawn as one."""
_WIDTH, _LEFT, _RIGHT = 880, 52, 28
_TITLE, _HEAD, _PLOT, _FOOT = 46, 34, 120, 26
_STYLE = """\
svg { font: 11.5px system-ui, sans-serif; fill: #6a737d }
.title { font-size: 15px; font-weight: 600; fill: #24292f }
.grid { stroke: #e6e8eb } .target { stroke: #24292f; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 1.7 }
"""
_ARRIVALS = "#67707b"

Values = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot: lines by colour over the time that all panels share."""

    title: str
    lines: Mapping[str, Values]
    level: float | None = None
    """A line across, such as the target."""

    @property
    def most(self) -> float:
        """The end of its scale, a round number above all values."""
        highest = max(v for line in self.lines.values() for v in line if v is not None)
        step = 10.0 ** math.floor(math.log10(highest)) / 2
        return step * math.ceil(highest / step)


def picture(name: str, words: str) -> str:
    """Arrivals, workers and waits of one trace of the suite.

    Args:
        name: which of the suite.
        words: what arrives, for the title.
    """
    (trace,) = (one for one in suite() if one.name == name)
    spec = TaskQueueSpec.model_validate({"queues": ["queue"], "scaling": {"maxReplicas": 1000}})
    case = Case(trace=trace, plant=Plant(), spec=spec, begins_at=MONDAY, tick_s=BUSY_TICK_S)
    drawn = curves(compare(case, search=False))
    by_name = {one.policy: one for one in drawn.policies}
    shown = {COLOURS[policy]: by_name[policy] for policy in POLICIES}
    panels = (
        Panel(title="tasks a second", lines={_ARRIVALS: _means(drawn.arrivals)}),
        Panel(title="workers", lines={c: _means(p.workers) for c, p in shown.items()}),
        Panel(
            title="longest wait, seconds",
            lines={c: _longest(p.waits_s) for c, p in shown.items()},
            level=case.max_wait_s,
        ),
    )
    return _drawing(words, panels, drawn.end_s)


def _means(values: Sequence[float]) -> Values:
    return [sum(values[i : i + _EACH]) / _EACH for i in range(0, len(values), _EACH)]


def _longest(values: Values) -> Values:
    return [
        max((v for v in values[i : i + _EACH] if v is not None), default=None)
        for i in range(0, len(values), _EACH)
    ]


def _drawing(words: str, panels: Sequence[Panel], end_s: float) -> str:
    each = _HEAD + _PLOT
    height = _TITLE + each * len(panels) + _FOOT
    legend = "".join(
        f'<tspan dx="14" fill="{COLOURS[policy]}">{label}</tspan>'
        for policy, label in reversed(POLICIES.items())
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(words)}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff" rx="6"/>',
        f'<text class="title" x="16" y="26">{escape(words)}</text>',
        f'<text x="2" y="43">{legend}</text>',
    ]
    for number, panel in enumerate(panels):
        top = _TITLE + number * each
        parts.append(f'<g transform="translate(0 {top + _HEAD})">{_plot(panel)}</g>')
    hours = range(math.floor(end_s / 1800) + 1)
    parts += [
        f'<text x="{_x(n * 1800 / end_s):.0f}" y="{height - 8}" text-anchor="middle">'
        f"{n * 30} min</text>"
        for n in hours
    ]
    return "\n".join([*parts, "</svg>\n"])


def _plot(panel: Panel) -> str:
    parts = [f'<text x="16" y="-14">{escape(panel.title)}</text>']
    for value in (0.0, panel.most / 2, panel.most):
        y = _y(value, panel.most)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>'
        )
    if panel.level is not None and panel.level <= panel.most:
        y = _y(panel.level, panel.most)
        parts.append(
            f'<path class="target" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
            f'<text x="{_WIDTH - _RIGHT}" y="{y - 4}" text-anchor="end">target</text>'
        )
    parts += [
        f'<path class="line" stroke="{colour}" d="{_path(values, panel.most)}"/>'
        for colour, values in panel.lines.items()
    ]
    return "".join(parts)


def _path(values: Values, most: float) -> str:
    """A line with gaps where nothing is known; points on one level are left out."""
    drawn: list[str] = []
    before: tuple[float, float] | None = None
    for number, value in enumerate(values):
        here = None if value is None else (_x(number / len(values)), _y(value, most))
        if here is not None and before is not None and here[1] == before[1]:
            drawn.append(f"H{here[0]}")
        elif here is not None:
            drawn.append(f"{'L' if before else 'M'}{here[0]} {here[1]}")
        before = here
    return re.sub(r"(?:H[\d.]+)+(H[\d.]+)", r"\1", "".join(drawn))


def _x(share: float) -> float:
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, most: float) -> float:
    return round(_PLOT * (1 - value / most), 1)


if __name__ == "__main__":
    for trace_name, title in SHOWN.items():
        (FOLDER / f"rule-{trace_name}.svg").write_text(picture(trace_name, title), encoding="utf-8")

"""A comparison as one HTML file: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from string import Template

from sluiceway.decide.sentences import count
from sluiceway.report.words import seconds
from sluiceway.simulate.compare import CLAIRVOYANT, OURS, Comparison
from sluiceway.simulate.curves import Curves
from sluiceway.simulate.figures import Figures
from sluiceway.simulate.picture import COLOURS
from sluiceway.simulate.table import HEADINGS, cells, headline, hours, notes, share

_TOLD = {
    "within target": "share of the tasks that started within the target",
    "of the bound": "worker-hours over run time ÷ slots, below which nobody can be",
    "changes": "how often another number of workers was asked for",
    "cut": "runs that were cut short because their worker had to go",
}


def page(comparison: Comparison, drawn: Curves) -> str:
    """The whole page."""
    template = Template(files("sluiceway.simulate").joinpath("page.html").read_text())
    ours = comparison.figures[0]
    return template.substitute(
        title=escape(comparison.case.trace.name),
        headline_html=_headline(comparison),
        what=escape(headline(comparison)),
        cards="\n".join(_cards(comparison, ours)),
        table=_table(comparison),
        notes="".join(f"<li>{escape(line)}</li>" for line in notes(comparison)),
        left_out=(
            f"{count(drawn.left_out, 'more decision is', 'more decisions are')} left out here."
            if drawn.left_out
            else ""
        ),
        data=_data(comparison, drawn),
    )


def _headline(comparison: Comparison) -> str:
    ours = comparison.figures[0]
    others = [row for row in comparison.figures if row.policy.startswith("KEDA")]
    begin = (
        f'<span class="ours">{share(ours.within)}</span> of '
        f"{count(len(comparison.case.trace), 'task')} within "
        f"{seconds(comparison.case.max_wait_s)}, for "
        f'<span class="ours">{hours(ours.worker_hours)} worker-hours</span>'
    )
    if not others:
        return begin
    best = others[-1]
    return f"{begin}; {escape(best.policy)}: {share(best.within)} for {hours(best.worker_hours)}"


def _cards(comparison: Comparison, ours: Figures) -> list[str]:
    return [
        _card(seconds(ours.p99_s), "p99 of the waits; the longest was " + seconds(ours.max_s)),
        _card(
            f"{ours.ratio:.2f}×",
            f"the bound of {hours(comparison.case.bound_s / 3600)} worker-hours, that is run "
            "time ÷ slots",
        ),
        _card(str(ours.actions), "changes of the number of workers"),
        _card(str(ours.cut), "tasks cut short"),
    ]


def _card(value: str, words: str) -> str:
    return f'<div class="card"><b>{escape(value)}</b><small>{escape(words)}</small></div>'


def _table(comparison: Comparison) -> str:
    head = "".join(
        f'<th title="{escape(_TOLD.get(name, name))}">{escape(name)}</th>' for name in HEADINGS
    )
    rows = "".join(_row(row) for row in comparison.figures)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(row: Figures) -> str:
    first, *rest = cells(row)
    kind = {OURS: "ours", CLAIRVOYANT: "faint"}.get(row.policy, "")
    swatch = f'<i style="background:{COLOURS[row.policy]}"></i>'
    return (
        f'<tr class="{kind}"><td>{swatch}{escape(first)}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
    )


def _data(comparison: Comparison, drawn: Curves) -> str:
    data = {
        "width": drawn.width_s,
        "end": drawn.end_s,
        "target": comparison.case.max_wait_s,
        "arrivals": _rounded(drawn.arrivals),
        "policies": [
            {
                "name": curves.policy,
                "colour": COLOURS[curves.policy],
                "ours": curves.policy == OURS,
                "workers": _rounded(curves.workers),
                "waits": _rounded(curves.waits_s),
            }
            for curves in drawn.policies
        ],
        "changes": [
            [round(change.at, 1), change.before, change.replicas, change.reason, change.sentence]
            for change in drawn.changes
        ],
    }
    # «</script>» in a trace's or a task's name must not end the script.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def _rounded(values: list[float] | list[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.4g}") for value in values]

"""The report as one HTML file: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from string import Template

from sluiceway.demo import summary
from sluiceway.demo.charts import Chart, Charts, Series
from sluiceway.demo.figures import Figures, Spread
from sluiceway.demo.recording import Recording
from sluiceway.demo.svg import svg
from sluiceway.demo.words import duration, number

QUERY = """\
WITH runs AS (
  SELECT SUM(event = 'published') AS published,
         SUM(event = 'started')   AS started,
         SUM(event = 'finished')  AS finished
  FROM task_runs GROUP BY task_id, attempt)
SELECT SUM(published) AS published,
       SUM(finished > 0) AS finished,
       SUM(published AND NOT finished) AS lost,
       SUM(started > 1) AS run_twice
FROM runs;"""


def page(show: Recording, figures: Figures, charts: Charts) -> str:
    """The whole page."""
    before, between, after = summary.headline(figures)
    template = Template(files("sluiceway.demo").joinpath("page.html").read_text())
    return template.substitute(
        headline=escape(before + between + after),
        headline_html=(
            f'<span class="before">{escape(before)}</span> {escape(between.strip())} '
            f'<span class="after">{escape(after)}</span>'
        ),
        story=re.sub(r"(\d) (m?s)\b", r"\1&nbsp;\2", escape(summary.story(show, figures))),
        cards="\n".join(_cards(figures)),
        figures="\n".join(_figure(charts, chart) for chart in charts.charts),
        table=_table(figures),
        queues=escape(show.queues_yaml.strip()),
        query=escape(QUERY),
        sizes=escape(summary.sizes(show)),
    )


def _cards(figures: Figures) -> list[str]:
    tasks = figures.all_tasks
    intact = not (tasks.lost or tasks.run_twice)
    return [
        _card(_change(figures.page_before, figures.page_after, "p50_s"), "the light page, median"),
        _card(
            _change(figures.page_before, figures.page_after, "p99_s"),
            "the light page, 99th percentile",
        ),
        _card(
            duration(figures.asked_within_s),
            "from the first message on an idle fleet to workers being asked for",
        ),
        _card(
            f'<span class="{"good" if intact else "bad"}">{number(tasks.lost)} lost, '
            f"{number(tasks.run_twice)} twice</span>",
            f"of {number(tasks.published)} tasks published; {number(tasks.finished)} finished",
        ),
        _card(
            ' <span class="to">→</span> '.join(map(number, figures.export_workers)),
            f"export workers, {number(figures.export_worker_seconds)} worker-seconds in all",
        ),
        _card(
            duration(figures.emails_waited.p50_s),
            "is what a mail waited meanwhile (median): its fleet has a pace of its own",
        ),
    ]


def _card(value: str, words: str) -> str:
    return f'<div class="card"><b>{value}</b><small>{escape(words)}</small></div>'


def _change(before: Spread, after: Spread, part: str) -> str:
    return (
        f'<span class="was">{duration(getattr(before, part))}</span> <span class="to">→</span> '
        f'<span class="is">{duration(getattr(after, part))}</span>'
    )


def _figure(charts: Charts, chart: Chart) -> str:
    legend = " ".join(_legend(series) for series in chart.series)
    return (
        f"<figure><header><h2>{escape(chart.title)}</h2>"
        f"<figcaption>{escape(chart.note)}</figcaption>{legend}</header>"
        f"{svg(charts, chart)}</figure>"
    )


def _legend(series: Series) -> str:
    return (
        f'<span class="legend"><i class="{series.mark}" style="--of: var(--{series.role})"></i>'
        f"{escape(series.label)}</span>"
    )


def _table(figures: Figures) -> str:
    rows = [
        "<tr><th></th><th>inside the request</th><th>with Sluiceway</th></tr>",
        *(
            f"<tr><td>{escape(c.what)}</td><td>{c.before}</td><td>{c.after}</td></tr>"
            for c in summary.comparisons(figures)
        ),
        *(
            f"<tr><td>{escape(what)}</td><td></td><td>{escape(value)}</td></tr>"
            for what, value in summary.facts(figures)
        ),
    ]
    return f"<table>{''.join(rows)}</table>"

"""The picture of a show as a PNG, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluiceway.demo.charts import Chart, Charts, Mark, Role, Series

COLOURS = {
    Role.BEFORE: "#d1495b",
    Role.AFTER: "#2a9d8f",
    Role.EXPORTS: "#3b6fb6",
    Role.EMAILS: "#e09f3e",
}
_INK = "#24292f"
_FAINT = "#8b949e"
_GRID = "#e6e8eb"
_SECONDS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


def draw(charts: Charts, headline: str, below: str, target: Path) -> None:
    """Draw all charts, one above the other, into ``target``.

    Args:
        headline: what is to be seen, in a sentence.
        below: the sizes of the show, under the last chart.

    Raises:
        OSError: the file cannot be written.
    """
    # Imported here: a second of work that nobody needs before the show is over.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 11.5), dpi=140, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(charts.charts),
        1,
        sharex=True,
        gridspec_kw={"height_ratios": (1.5, 1, 1, 1.2), "hspace": 0.5},
    )
    figure.subplots_adjust(left=0.085, right=0.975, top=0.885, bottom=0.075)
    figure.text(0.085, 0.965, headline, fontsize=15, fontweight="bold", color=_INK)
    figure.text(0.085, 0.012, below, fontsize=9, color=_FAINT)
    for axis, chart in zip(axes, charts.charts, strict=True):
        _draw(axis, chart)
    axes[-1].set_xlim(charts.start, charts.end)
    axes[-1].set_xlabel("seconds since the first click", color=_INK, fontsize=10)
    figure.savefig(target)


def _draw(axis: Any, chart: Chart) -> None:
    axis.set_title(chart.title, loc="left", fontsize=12, fontweight="bold", color=_INK, pad=22)
    axis.text(
        0,
        1,
        f"{chart.note}\n",
        transform=axis.transAxes,
        fontsize=9,
        color=_FAINT,
        va="bottom",
        linespacing=0.6,
    )
    axis.grid(axis="y", color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_GRID)
    axis.tick_params(colors=_FAINT, labelcolor=_INK, length=0, labelsize=9)
    for series in chart.series:
        _plot(axis, series)
    if chart.in_seconds:
        _in_seconds(axis, chart)
    else:
        axis.set_ylim(bottom=0)
        axis.yaxis.get_major_locator().set_params(integer=True, nbins=5)
    axis.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(chart.series),
        frameon=False,
        fontsize=9,
        borderaxespad=0.4,
        handletextpad=0.4,
        columnspacing=1.6,
    )


def _plot(axis: Any, series: Series) -> None:
    colour = COLOURS[series.role]
    xs = [x for x, _ in series.points]
    ys = [y for _, y in series.points]
    if series.mark is Mark.DOTS:
        axis.scatter(xs, ys, s=14, color=colour, alpha=0.65, linewidths=0, label=series.label)
    elif series.mark is Mark.LINE:
        axis.step(xs, ys, where="post", color=colour, linewidth=1.6, label=series.label)
    else:
        axis.fill_between(xs, ys, step="post", color=colour, alpha=0.3, lw=0, label=series.label)


def _in_seconds(axis: Any, chart: Chart) -> None:
    """A logarithmic axis with a tick for each power of ten, in words."""
    values = [y for series in chart.series for _, y in series.points if y > 0]
    axis.set_yscale("log")
    axis.set_ylim(min(values, default=0.001) / 1.6, max(values, default=1.0) * 1.8)
    low, high = axis.get_ylim()
    ticks = [tick for tick in _SECONDS if low <= tick <= high]
    axis.set_yticks(
        ticks, [f"{tick:g} s" if tick >= 1 else f"{tick * 1000:g} ms" for tick in ticks]
    )
    axis.minorticks_off()

"""A comparison as a PNG, by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sluiceway.simulate.compare import (
    CLAIRVOYANT,
    FIXED,
    KEDA_BEST,
    KEDA_DEFAULT,
    KEDA_TUNED,
    OURS,
    TRACKING,
    Comparison,
)
from sluiceway.simulate.curves import Curves, PolicyCurves
from sluiceway.simulate.table import headline, hours, share

COLOURS = {
    OURS: "#1f8f82",
    KEDA_DEFAULT: "#e0a1a8",
    KEDA_TUNED: "#c9862a",
    KEDA_BEST: "#cc4355",
    TRACKING: "#8a6fc0",
    FIXED: "#3b6fb6",
    CLAIRVOYANT: "#67707b",
}
"""One for each policy, the same in the picture and on the page."""

_EACH = 4
"""Columns of the curves that are drawn as one."""

_INK, _FAINT, _GRID = "#24292f", "#6e7681", "#e6e8eb"


def draw(comparison: Comparison, drawn: Curves, target: Path) -> None:
    """Draw arrivals, workers, waits and the costs into ``target``.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    # Imported here: a second of work that only pictures need.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10.5), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        4, 1, gridspec_kw={"height_ratios": (0.8, 1.4, 1.4, 1.1), "hspace": 0.42}
    )
    figure.subplots_adjust(left=0.085, right=0.975, top=0.91, bottom=0.05)
    ours = comparison.figures[0]
    figure.text(
        0.085,
        0.965,
        f"{comparison.case.trace.name}: {share(ours.within)} within the target, "
        f"{hours(ours.worker_hours)} worker-hours",
        fontsize=15,
        fontweight="bold",
        color=_INK,
    )
    figure.text(0.085, 0.945, headline(comparison), fontsize=8.5, color=_FAINT)
    unit_s, unit = _unit(drawn.end_s)
    xs = [index * drawn.width_s / unit_s for index in range(0, len(drawn.arrivals), _EACH)]
    _plain(axes[0], "arrivals per second")
    axes[0].fill_between(
        xs, _merged(drawn.arrivals, _mean), step="post", color=_FAINT, alpha=0.35, lw=0
    )
    _plain(axes[1], "workers")
    _plain(axes[2], "longest wait of those that came then, seconds; dashed: the target")
    # Ours last, so that it lies on top.
    for curves in reversed(drawn.policies):
        _line(axes[1], xs, _merged(curves.workers, _mean), curves)
        _line(axes[2], xs, _merged(curves.waits_s, _longest), curves)
    axes[2].axhline(comparison.case.max_wait_s, color=_INK, lw=0.8, ls=(0, (4, 3)))
    axes[2].set_yscale("symlog", linthresh=1)
    axes[2].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in axes[:3]:
        axis.set_xlim(0, drawn.end_s / unit_s)
        axis.set_ylim(bottom=0)
    axes[2].set_xlabel(unit, color=_FAINT, fontsize=9, labelpad=1)
    handles, labels = axes[1].get_legend_handles_labels()
    axes[1].legend(
        handles[::-1],
        labels[::-1],
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(drawn.policies),
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
        handlelength=1.2,
        columnspacing=1.2,
    )
    _costs(axes[3], comparison)
    figure.savefig(target)


def _plain(axis: Any, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold", color=_INK)
    axis.grid(axis="y", color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_GRID)
    axis.tick_params(colors=_FAINT, labelcolor=_INK, length=0, labelsize=8.5)


def _line(axis: Any, xs: list[float], ys: list[float], curves: PolicyCurves) -> None:
    ours = curves.policy == OURS
    axis.step(
        xs,
        ys,
        where="post",
        color=COLOURS[curves.policy],
        lw=1.8 if ours else 0.9,
        alpha=1 if ours else 0.85,
        label=curves.policy,
    )


def _merged(
    values: Sequence[float | None], together: Callable[[list[float]], float]
) -> list[float]:
    """Some columns as one: a picture has no pointer to tell narrow ones apart."""
    merged = []
    for begin in range(0, len(values), _EACH):
        known = [value for value in values[begin : begin + _EACH] if value is not None]
        merged.append(together(known) if known else math.nan)
    return merged


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _longest(values: list[float]) -> float:
    return max(values)


def _costs(axis: Any, comparison: Comparison) -> None:
    """A bar for each policy: its worker-hours, and the share in time beside it."""
    _plain(axis, "worker-hours, and the share of the tasks within the target; dashed: the bound")
    axis.grid(visible=False)
    rows = list(reversed(comparison.figures))
    axis.barh(
        range(len(rows)),
        [row.worker_hours for row in rows],
        color=[COLOURS[row.policy] for row in rows],
        height=0.62,
    )
    for index, row in enumerate(rows):
        axis.text(
            row.worker_hours,
            index,
            f"  {row.policy}: {hours(row.worker_hours)}, {share(row.within)}",
            va="center",
            fontsize=8.5,
            color=_INK,
        )
    axis.axvline(comparison.case.bound_s / 3600, color=_INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_xlim(0, 1.3 * max(row.worker_hours for row in rows) or 1)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xticks([])
    axis.set_yticks([])


def _unit(end_s: float) -> tuple[float, str]:
    if end_s > 4 * 86400:
        return 86400.0, "days"
    if end_s > 2 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if end_s > 300 else (1.0, "seconds")

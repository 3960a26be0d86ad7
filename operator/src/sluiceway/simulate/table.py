"""A comparison as a table for the terminal, and as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from sluiceway.decide.sentences import count, whole
from sluiceway.report.words import seconds
from sluiceway.simulate.compare import CLAIRVOYANT, OURS, Comparison
from sluiceway.simulate.figures import Figures

HEADINGS = (
    "policy",
    "within target",
    "p50",
    "p95",
    "p99",
    "longest",
    "worker-hours",
    "of the bound",
    "changes",
    "cut",
    "most workers",
)


def headline(comparison: Comparison) -> str:
    """What was played, in a line."""
    case = comparison.case
    trace, plant = case.trace, case.plant
    tasks = (
        f"{count(len(trace), 'task')} in {seconds(trace.span_s)}, "
        f"{seconds(trace.mean_run_s)} each on average"
    )
    return (
        f"{trace.name}: {tasks}; target {seconds(case.max_wait_s)}, "
        f"{count(plant.slots, 'slot')} per worker, cold start {seconds(plant.cold_start_s)}; "
        f"bound {hours(case.bound_s / 3600)} worker-hours"
    )


def table(comparison: Comparison) -> Table:
    """A row for each policy."""
    made = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    for heading in HEADINGS:
        made.add_column(heading, justify="left" if heading == "policy" else "right")
    for row in comparison.figures:
        made.add_row(*cells(row), style=style(row))
    return made


def tuned_table(rows: Sequence[tuple[str, Figures]]) -> Table:
    """Ours under several settings, a row for each."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("setting", *HEADINGS[1:]):
        made.add_column(heading, justify="left" if heading == "setting" else "right")
    for name, row in rows:
        made.add_row(name, *cells(row)[1:])
    return made


def style(row: Figures) -> str:
    """Ours stands out, and what nobody can have is faint."""
    return {OURS: "bold", CLAIRVOYANT: "dim"}.get(row.policy, "")


def cells(row: Figures) -> tuple[str, ...]:
    """One policy's figures as people read them."""
    return (
        row.policy,
        f"{share(row.within)}",
        seconds(row.p50_s),
        seconds(row.p95_s),
        seconds(row.p99_s),
        seconds(row.max_s),
        hours(row.worker_hours),
        f"{row.ratio:.2f}×",
        "–" if row.policy == CLAIRVOYANT else whole(row.actions),
        whole(row.cut),
        whole(row.most_workers),
    )


def share(value: float) -> str:
    """A share in percent; 100 % is all of them, and 99.99 % is not."""
    percent = f"{value * 100:.1f} %"
    return "99.9+ %" if value < 1 and percent == "100.0 %" else percent


def hours(value: float) -> str:
    """Worker-hours: «0.031», «8.4», «231»."""
    return f"{value:.1f}" if 1 <= value < 100 else f"{value:.2g}" if value < 1 else f"{value:.0f}"


def notes(comparison: Comparison) -> list[str]:
    """What the table cannot say: settings, tasks that never started."""
    lines = [f"{row.policy}: {row.setting}" for row in comparison.figures if row.setting]
    lines += [
        f"{row.policy}: {count(row.never_started, 'task')} never started; "
        "counted as waiting to the end"
        for row in comparison.figures
        if row.never_started
    ]
    return lines


def as_data(comparison: Comparison) -> dict[str, Any]:
    """What was played and each policy's figures, as plain data."""
    case = comparison.case
    return {
        "trace": case.trace.name,
        "tasks": len(case.trace),
        "span_s": case.trace.span_s,
        "mean_run_s": case.trace.mean_run_s,
        "max_wait_s": case.max_wait_s,
        "plant": asdict(case.plant),
        "tick_s": case.tick_s,
        "bound_worker_hours": case.bound_s / 3600,
        "policies": [asdict(row) for row in comparison.figures],
    }

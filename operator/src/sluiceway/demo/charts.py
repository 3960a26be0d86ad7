"""The four charts of the report, as data: the PNG and the HTML page draw the same ones.

All share one time axis: seconds since the first click of an act. So the page
before and the page after lie in one chart, above the fleet that made the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sluiceway.demo import curves
from sluiceway.demo.recording import Act, Fleet, Recording

Points = tuple[tuple[float, float], ...]
"""(seconds since the first click, value)."""


class Role(StrEnum):
    """What a series is about; whoever draws gives each its colour."""

    BEFORE = "before"
    AFTER = "after"
    EXPORTS = "exports"
    EMAILS = "emails"


class Mark(StrEnum):
    """How a series is drawn. Steps hold their value until the next point."""

    DOTS = "dots"
    LINE = "line"
    AREA = "area"


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    label: str
    role: Role
    mark: Mark
    points: Points


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    title: str
    note: str
    """How to read it."""
    in_seconds: bool
    """Values are seconds, on a logarithmic axis; otherwise counts, from zero."""
    series: tuple[Series, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Charts:
    """All charts over one time axis, in seconds since the first click."""

    start: float
    end: float
    charts: tuple[Chart, ...]


def charts_of(show: Recording) -> Charts:
    """The charts of a show."""
    zero = show.after.first_click_at
    exports, emails = show.runs_of("exports"), show.runs_of("emails")
    exporters, mailers = show.fleet("exports"), show.fleet("emails")
    start = -1.0
    end = 1.0 + max(
        show.before.last_pdf_at - show.before.first_click_at,
        *(sample.at - zero for sample in exporters.samples),
    )

    def levels(steps: curves.Steps) -> Points:
        return _held(tuple(zip(steps.times, steps.values, strict=True)), zero, start, end)

    def workers(fleet: Fleet, number: str) -> Points:
        samples = tuple((sample.at, float(getattr(sample, number))) for sample in fleet.samples)
        return _held(samples, zero, start, end)

    return Charts(
        start=start,
        end=end,
        charts=(
            Chart(
                title="The light page",
                note="each dot is a visit: how long the page took",
                in_seconds=True,
                series=(
                    _dots("exports inside the request", Role.BEFORE, _visits(show.before)),
                    _dots("with Sluiceway", Role.AFTER, _visits(show.after)),
                ),
            ),
            Chart(
                title="Queue length",
                note="tasks that wait",
                in_seconds=False,
                series=(
                    _area("exports", Role.EXPORTS, levels(curves.waiting(exports))),
                    _line("emails", Role.EMAILS, levels(curves.waiting(emails))),
                ),
            ),
            Chart(
                title="Workers",
                note="filled: processes that exist; line: how many were asked for",
                in_seconds=False,
                series=(
                    _area("exports", Role.EXPORTS, workers(exporters, "running")),
                    _line("exports, asked for", Role.EXPORTS, workers(exporters, "asked")),
                    _line("emails", Role.EMAILS, workers(mailers, "asked")),
                ),
            ),
            Chart(
                title="Waiting time",
                note="each dot is a task: how long it waited until a worker started it",
                in_seconds=True,
                series=(
                    _dots("exports", Role.EXPORTS, _shifted(curves.waited(exports), zero)),
                    _dots("emails", Role.EMAILS, _shifted(curves.waited(emails), zero)),
                ),
            ),
        ),
    )


def _visits(act: Act) -> Points:
    answered = tuple((v.sent_at, v.took_s) for v in act.pages if v.took_s is not None)
    return _shifted(answered, act.first_click_at)


def _shifted(points: Points, zero: float) -> Points:
    return tuple((x - zero, y) for x, y in points)


def _held(points: Points, zero: float, start: float, end: float) -> Points:
    """Steps from ``start``, at what held then, to ``end``."""
    moved = _shifted(points, zero)
    at_start = [y for x, y in moved if x <= start]
    inside = tuple((x, y) for x, y in moved if start < x <= end)
    first = (start, at_start[-1] if at_start else 0.0)
    last = (end, inside[-1][1] if inside else first[1])
    return (first, *inside, last)


def _dots(label: str, role: Role, points: Points) -> Series:
    return Series(label=label, role=role, mark=Mark.DOTS, points=points)


def _line(label: str, role: Role, points: Points) -> Series:
    return Series(label=label, role=role, mark=Mark.LINE, points=points)


def _area(label: str, role: Role, points: Points) -> Series:
    return Series(label=label, role=role, mark=Mark.AREA, points=points)

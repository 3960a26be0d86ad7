"""The figures of the summary, each from what was recorded, with its unit in its name.

None is «not known», never zero: a fleet that was never asked for has no time at
which it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluiceway.demo.recording import Recording
from sluiceway.demo.tally import Tally
from sluiceway.demo.visits import Visit, percentile


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Median and 99th percentile (nearest rank) of so many waits, in seconds."""

    count: int
    p50_s: float | None
    p99_s: float | None

    @classmethod
    def of(cls, seconds: Iterable[float | None]) -> Spread:
        """Of those that are known."""
        known = [value for value in seconds if value is not None]
        return cls(count=len(known), p50_s=percentile(known, 50), p99_s=percentile(known, 99))


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What the show came to."""

    page_calm: Spread
    """The light page before anybody clicked."""
    page_before: Spread
    """The light page while exports were made inside the requests."""
    page_after: Spread
    """The light page while workers made them."""
    pages_failed: int
    """Visits to it, in both acts, that were answered with an error or not at all."""
    click_before: Spread
    """From a click to its answer, which was the PDF's own."""
    click_after: Spread
    """From a click to its answer, a 202."""
    pdf_before: Spread
    """From a click to the PDF, of those that came to one."""
    pdf_after: Spread
    export_cost_s: float
    """About how long one export keeps one core busy."""
    asked_within_s: float | None
    """From the first message to workers being asked for."""
    started_within_s: float | None
    """From the first message to the first task's start: a worker's cold start, mostly."""
    exports: Tally
    emails: Tally
    all_tasks: Tally
    exports_waited: Spread
    """From published to started."""
    emails_waited: Spread
    export_workers: tuple[int, int, int]
    """At the start of the second act, the most at once, and at its end."""
    export_worker_seconds: float
    email_worker_seconds: float


def figures_of(show: Recording) -> Figures:
    """All figures of a show."""
    exports, emails = show.runs_of("exports"), show.runs_of("emails")
    fleet = show.fleet("exports")
    first = min((run.due for run in exports), default=None)
    return Figures(
        page_calm=_answers(show.calm),
        page_before=_answers(show.before.busy_pages),
        page_after=_answers(show.after.busy_pages),
        pages_failed=sum(not v.ok for v in (*show.before.pages, *show.after.pages)),
        click_before=_answers(show.before.clicks),
        click_after=_answers(show.after.clicks),
        pdf_before=Spread.of(v.pdf_s for v in show.before.clicks),
        pdf_after=Spread.of(v.pdf_s for v in show.after.clicks),
        export_cost_s=show.export_cost_s,
        asked_within_s=_since(first, fleet.asked_at),
        started_within_s=_since(
            first, min((r.started for r in exports if r.started is not None), default=None)
        ),
        exports=show.tallies["exports"],
        emails=show.tallies["emails"],
        all_tasks=show.tallies[""],
        exports_waited=Spread.of(run.waited_s for run in exports),
        emails_waited=Spread.of(run.waited_s for run in emails),
        export_workers=(fleet.samples[0].running, fleet.most, fleet.samples[-1].running),
        export_worker_seconds=fleet.worker_seconds,
        email_worker_seconds=show.fleet("emails").worker_seconds,
    )


def _answers(visits: Iterable[Visit]) -> Spread:
    return Spread.of(visit.took_s for visit in visits)


def _since(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start

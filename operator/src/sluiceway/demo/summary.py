"""The summary in words: the same rows for the terminal and for the page."""

from __future__ import annotations

from dataclasses import dataclass

from sluiceway.demo.figures import Figures, Spread
from sluiceway.demo.recording import Recording
from sluiceway.demo.sizes import WEB_WORKERS
from sluiceway.demo.words import duration, number, plural


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One line of the table: the same thing before and after."""

    what: str
    before: str
    after: str


def headline(figures: Figures) -> tuple[str, str, str]:
    """The story in one sentence, in three parts: before, between, after."""
    return (
        f"While people exported, the page took {duration(figures.page_before.p50_s)}.",
        " With Sluiceway: ",
        f"{duration(figures.page_after.p50_s)}.",
    )


def comparisons(figures: Figures) -> tuple[Comparison, ...]:
    """What visitors got, before and after."""
    rows = (
        ("The light page", figures.page_before, figures.page_after),
        ("A click's answer", figures.click_before, figures.click_after),
        ("The PDF in hand", figures.pdf_before, figures.pdf_after),
    )
    compared = [
        Comparison(
            what=f"{what}, {name}",
            before=duration(_part(before, name)),
            after=duration(_part(after, name)),
        )
        for what, before, after in rows
        for name in ("p50", "p99")
    ]
    came = Comparison(
        what="Clicks that came to a PDF",
        before=_share(figures.pdf_before, figures.click_before),
        after=_share(figures.pdf_after, figures.click_after),
    )
    return (*compared, came)


def _part(spread: Spread, name: str) -> float | None:
    return spread.p50_s if name == "p50" else spread.p99_s


def _share(part: Spread, whole: Spread) -> str:
    return f"{number(part.count)} of {number(whole.count)}"


def story(show: Recording, figures: Figures) -> str:
    """What happened, for somebody who has only this page."""
    most = figures.export_workers[1]
    limit = " (its limit here)" if most == show.sizes.max_workers else ""
    return (
        f"{show.sizes.clicks} people clicked on «Export», each for a PDF that keeps a core "
        f"busy for about {duration(figures.export_cost_s)}. First the web app made the PDFs "
        f"inside the requests: its {WEB_WORKERS} workers were soon all at it, and everybody else "
        "stood in line. Then the same people clicked at the same moments, but the app handed "
        "the work to Celery and answered at once; Sluiceway brought up to "
        f"{plural(most, 'worker')}{limit} and took them away again. {caution()}"
    )


def caution() -> str:
    """What the show does not show."""
    return (
        "The PDFs do not come sooner: it is the same work on the same machine, and workers that "
        "start need some of it too. In a cluster, workers have nodes of their own."
    )


def facts(figures: Figures) -> tuple[tuple[str, str], ...]:
    """What the workers did, as pairs of words."""
    tasks = figures.all_tasks
    return (
        ("First message to workers being asked for", duration(figures.asked_within_s)),
        ("First message to first task started", duration(figures.started_within_s)),
        (
            "Tasks published / finished / lost / run twice",
            " / ".join(
                number(n) for n in (tasks.published, tasks.finished, tasks.lost, tasks.run_twice)
            ),
        ),
        ("Exports waited, p50 / p99", _pair(figures.exports_waited)),
        ("Emails waited meanwhile, p50 / p99", _pair(figures.emails_waited)),
        ("Export workers, first / most / last", " → ".join(map(number, figures.export_workers))),
        (
            "Visits to the light page that failed",
            number(figures.pages_failed),
        ),
        (
            "Worker-seconds, exports / emails",
            f"{number(figures.export_worker_seconds)} / {number(figures.email_worker_seconds)}",
        ),
    )


def sizes(show: Recording) -> str:
    """How big the show was, and on what."""
    return (
        f"{plural(show.cores, 'core')}, {show.system} · {show.sizes.clicks} clicks, seed "
        f"{show.sizes.seed} · {number(show.rows)} rows an export · at most "
        f"{plural(show.sizes.max_workers, 'export worker')} · web app, workers and broker all "
        "on this machine"
    )


def _pair(spread: Spread) -> str:
    return f"{duration(spread.p50_s)} / {duration(spread.p99_s)}"

"""What is said to whoever watches the show: they know nothing of Celery yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from sluiceway.demo import summary
from sluiceway.demo.figures import Figures, Spread
from sluiceway.demo.recording import Act
from sluiceway.demo.screen import Screen, Stage
from sluiceway.demo.sizes import WEB_WORKERS, Sizes, cores
from sluiceway.demo.visits import Visit
from sluiceway.demo.words import duration, number, plural


class Teller:
    """Tells the story, part by part, on a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def opening(self) -> None:
        self._screen.heading("Sluiceway demo: a web shop, its exports, and who waits for them")
        self._screen.say(
            f"Everything here is real and runs on this machine ({plural(cores(), 'core')}): a web "
            f"app with {WEB_WORKERS} request workers, a Redis-compatible broker, Celery workers. "
            "First a look at how fast this machine makes exports …"
        )

    def setting(self, sizes: Sizes, rows: int, cost_s: float, quiet: Sequence[Visit]) -> None:
        page = Spread.of(visit.took_s for visit in quiet)
        self._screen.say(
            f"{sizes.clicks} people will click on «Export» within a few seconds. Each wants a "
            f"report of {number(rows)} rows as a PDF, which keeps one core busy for about "
            f"{duration(cost_s)}. "
            f"While nobody clicks, the shop's page takes {duration(page.p50_s)}."
        )

    @contextmanager
    def first_act(self) -> Iterator[Stage]:
        self._screen.heading("1  The meltdown: exports are made inside the request")
        self._screen.say(
            "Each click keeps one of the ten web workers busy until its PDF is made. A bystander "
            "wants nothing but the light page, ten times a second."
        )
        with self._screen.act() as stage:
            yield stage

    def after_the_first(self, act: Act) -> None:
        page = Spread.of(visit.took_s for visit in act.busy_pages)
        self._screen.point(
            f"While people exported, half of the visits to the light page took longer than "
            f"{duration(page.p50_s)} (p50), one in a hundred longer than {duration(page.p99_s)} "
            "(p99): they stood in line behind the PDFs.",
            good=False,
        )

    @contextmanager
    def second_act(self, yaml: str) -> Iterator[Stage]:
        self._screen.heading("2  The same clicks, with Sluiceway")
        self._screen.say(
            "The web app answers each click at once (202 Accepted) and hands the export to Celery; "
            "mails are sent meanwhile. All that Sluiceway is told about the workers:"
        )
        self._screen.quote(yaml.strip())
        with self._screen.act() as stage:
            yield stage

    def after_the_second(self, act: Act) -> None:
        page = Spread.of(visit.took_s for visit in act.busy_pages)
        self._screen.point(
            f"While people exported, the light page took {duration(page.p50_s)} (p50), "
            f"{duration(page.p99_s)} (p99).",
            good=True,
        )

    def ending(self, figures: Figures, paths: Sequence[Path]) -> None:
        self._screen.heading("3  What it came to")
        compared = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        compared.add_column("")
        compared.add_column("inside the request", justify="right", style="red")
        compared.add_column("with Sluiceway", justify="right", style="green")
        for row in summary.comparisons(figures):
            compared.add_row(row.what, row.before, row.after)
        self._screen.table(compared)
        facts = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
        for what, value in summary.facts(figures):
            facts.add_row(what, value)
        self._screen.table(facts)
        tasks = figures.all_tasks
        if tasks.lost:
            self._screen.point(f"{plural(tasks.lost, 'task')} lost.", good=False)
        else:
            self._screen.point("No task was lost.", good=True)
        self._screen.say(summary.caution())
        page, *beside = paths
        self._screen.say(
            f"The report: {page} ({', '.join(path.name for path in beside)} beside it)"
        )

"""What the demo says, draws and writes of a show, from a small recorded one."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from sluiceway.demo.charts import Mark, charts_of
from sluiceway.demo.figures import figures_of
from sluiceway.demo.front import front
from sluiceway.demo.page import QUERY, page
from sluiceway.demo.recording import Act, Fleet, FleetSample, Recording
from sluiceway.demo.report import write_report
from sluiceway.demo.scene import FleetScene, Scene
from sluiceway.demo.screen import Screen
from sluiceway.demo.sizes import Sizes
from sluiceway.demo.tally import Run, Tally
from sluiceway.demo.telling import Teller
from sluiceway.demo.visits import Kind, Visit

BEFORE, AFTER = 1_000.0, 2_000.0
"""The first clicks of the two acts, Unix seconds."""


def act(first_click: float, page_s: float, pdf_s: float, click_s: float) -> Act:
    """Ten pages, one a second from a second before the first of two clicks."""
    return Act(
        pages=tuple(
            Visit(kind=Kind.PAGE, sent_at=first_click - 1 + n, took_s=page_s) for n in range(10)
        ),
        clicks=tuple(
            Visit(
                kind=Kind.CLICK,
                sent_at=first_click + n,
                took_s=click_s,
                pdf_s=pdf_s,
                over=True,
            )
            for n in range(2)
        ),
    )


def sample(at: float, asked: int, running: int) -> FleetSample:
    return FleetSample(at=AFTER + at, asked=asked, running=running, consuming=running)


@pytest.fixture
def show() -> Recording:
    finished = Tally(published=2, finished=2, failed=0, lost=0, run_twice=0)
    return Recording(
        sizes=Sizes(clicks=2),
        cores=2,
        system="Linux, Python 3.11",
        rows=800,
        export_cost_s=1.0,
        calm=(Visit(kind=Kind.PAGE, sent_at=BEFORE - 9, took_s=0.004),),
        before=act(BEFORE, page_s=4.0, pdf_s=6.0, click_s=6.0),
        after=act(AFTER, page_s=0.008, pdf_s=5.0, click_s=0.02),
        fleets=(
            Fleet(
                name="exports",
                samples=(sample(-1, 0, 0), sample(0.5, 3, 3), sample(6, 3, 3), sample(8, 0, 0)),
                asked_at=AFTER + 0.03,
                worker_seconds=21.0,
            ),
            Fleet(
                name="emails",
                samples=(sample(-1, 1, 1), sample(8, 1, 1)),
                asked_at=AFTER - 20,
                worker_seconds=9.0,
            ),
        ),
        runs=(
            Run(queue="exports", due=AFTER + 0.01, started=AFTER + 2.01, finished=AFTER + 3),
            Run(queue="exports", due=AFTER + 1.01, started=AFTER + 4.01, finished=AFTER + 5),
            Run(queue="emails", due=AFTER + 1.0, started=AFTER + 1.005, finished=AFTER + 1.2),
        ),
        tallies={
            "exports": finished,
            "emails": replace(finished, published=1, finished=1),
            "": replace(finished, published=3, finished=3),
        },
        queues_yaml="kind: TaskQueue <exports>\n",
    )


def test_the_page_is_judged_by_the_visits_while_somebody_waited_for_a_pdf(show: Recording) -> None:
    figures = figures_of(show)
    # The last PDF came 7 s after the first click: pages at 0, 1 … 7 s count.
    assert figures.page_before.count == 8
    assert (figures.page_before.p50_s, figures.page_after.p99_s) == (4.0, 0.008)


def test_the_answer_to_how_quickly_workers_were_asked_for_counts_from_the_first_message(
    show: Recording,
) -> None:
    figures = figures_of(show)
    assert figures.asked_within_s == pytest.approx(0.02)
    assert figures.started_within_s == pytest.approx(2.0)
    assert figures.export_workers == (0, 3, 0)


def test_a_fleet_that_was_never_asked_for_has_no_such_time(show: Recording) -> None:
    exports, emails = show.fleets
    figures = figures_of(replace(show, fleets=(replace(exports, asked_at=None), emails)))
    assert figures.asked_within_s is None


def test_steps_reach_from_one_end_of_the_time_axis_to_the_other(show: Recording) -> None:
    charts = charts_of(show)
    steps = [
        series.points
        for chart in charts.charts
        for series in chart.series
        if series.mark is not Mark.DOTS
    ]
    assert {(points[0][0], points[-1][0]) for points in steps} == {(charts.start, charts.end)}


class Tags(HTMLParser):
    """Every start tag of a page, and whether all of them are closed in order."""

    VOID = frozenset({"meta", "br", "line", "circle", "path"})
    OPTIONAL = frozenset({"html", "p"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID | self.OPTIONAL:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID | self.OPTIONAL:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing(show: Recording) -> None:
    html = page(show, figures_of(show), charts_of(show))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert tags.seen.count("svg") == 4
    assert not {"script", "link", "img"} & set(tags.seen)
    assert not re.search(r"https?:|url\(|@import", html)
    assert "&lt;exports&gt;" in html


def test_the_report_is_a_page_a_picture_and_everything_to_check_them_by(
    show: Recording, tmp_path: Path
) -> None:
    database = tmp_path / "running.sqlite3"
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE task_runs (task_id, attempt, event)")
        db.execute(
            "INSERT INTO task_runs VALUES ('a', 0, 'published'), ('a', 0, 'started'),"
            " ('a', 0, 'started'), ('a', 0, 'finished'), ('b', 0, 'published')"
        )
        db.commit()
    target = tmp_path / "reports" / "first"
    for _ in range(2):  # a second report takes the place of the first
        paths = write_report(show, figures_of(show), database, target)
    html, png, small, numbers, queues, rows = paths
    assert html.read_text().startswith("<!doctype html>")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert small.read_text().startswith("<svg ")
    assert json.loads(numbers.read_text())["exports"]["published"] == 2
    assert queues.read_text() == show.queues_yaml
    with closing(sqlite3.connect(rows)) as db:
        assert db.execute(QUERY).fetchone() == (2, 1, 1, 1)
        assert db.execute(
            "SELECT act, kind, COUNT(*), MAX(took_s) FROM visits GROUP BY act, kind"
        ).fetchall() == [
            ("after", "click", 2, 0.02),
            ("after", "page", 10, 0.008),
            ("before", "click", 2, 6.0),
            ("before", "page", 10, 4.0),
        ]
        assert db.execute("SELECT MAX(running) FROM workers").fetchone() == (3,)


def test_the_picture_for_a_front_page_stands_alone_and_is_small(show: Recording) -> None:
    picture = front(charts_of(show), "The page waits 4.0 s, then 8 ms")
    tree = ElementTree.fromstring(picture)
    space = "{http://www.w3.org/2000/svg}"
    titles = [one.text for one in tree.iter(f"{space}text") if one.get("class") == "title"]
    assert titles == ["The light page", "Workers"]
    assert tree.get("aria-label") == "The page waits 4.0 s, then 8 ms"
    assert len(list(tree.iter(f"{space}circle"))) == 20
    assert "var(" not in picture
    assert len(picture) < 10_000


def told(show: Recording, *, terminal: bool) -> str:
    out = io.StringIO()
    teller = Teller(Screen(Console(file=out, force_terminal=terminal, width=110)))
    teller.opening()
    teller.setting(show.sizes, show.rows, show.export_cost_s, show.calm)
    with teller.first_act() as stage:
        stage.show(scene_of(9.0))
    teller.after_the_first(show.before)
    with teller.second_act(show.queues_yaml) as stage:
        for asked in (0, 3, 3):
            stage.show(scene_of(1.0, asked))
    teller.after_the_second(show.after)
    teller.ending(figures_of(show), [Path("report/index.html"), Path("report/picture.png")])
    return out.getvalue()


def scene_of(elapsed_s: float, *asked: int) -> Scene:
    return Scene(
        elapsed_s=elapsed_s,
        clicks=2,
        clicked=1,
        pdfs=0,
        left=0,
        page_now_s=3.0,
        page_p50_s=2.0,
        page_p99_s=None,
        fleets=tuple(
            FleetScene(
                name="exports",
                asked=number,
                consuming=0,
                running=number,
                queue_length=None,
                oldest_wait_s=None,
                sentence="because of what waits.",
            )
            for number in asked
        ),
    )


def test_without_a_terminal_the_story_is_plain_lines_and_a_change_is_told_once(
    show: Recording,
) -> None:
    text = told(show, terminal=False)
    assert "\x1b" not in text
    assert text.count("exports: because of what waits.") == 1
    for word in ("4.0 s (p50)", "3 / 3 / 0 / 0", "20 ms", "0 → 3 → 0", "No task was lost."):
        assert word in text


def test_a_terminal_shows_the_same_figures(show: Recording) -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told(show, terminal=True))
    for word in ("4.0 s (p50)", "3 / 3 / 0 / 0", "○○○", "? waiting", "No task was lost."):
        assert word in text


def test_a_lost_task_is_the_last_word(show: Recording) -> None:
    lost = replace(show, tallies={**show.tallies, "": replace(show.tallies[""], lost=1)})
    assert "1 task lost." in told(lost, terminal=False)
    assert "No task was lost." not in told(lost, terminal=False)

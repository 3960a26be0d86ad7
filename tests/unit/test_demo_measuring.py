"""The demo's arithmetic: waits, percentiles, curves, and the tally of a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluiceway.demo import curves, sizes, tally
from sluiceway.demo.scene import scene
from sluiceway.demo.sizes import Sizes
from sluiceway.demo.tally import Run, Tally
from sluiceway.demo.visits import Kind, VisitLog, line_of, percentile
from sluiceway.demo.words import duration, number, plural
from sluiceway_sample import settings
from sluiceway_sample.database import connect


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "shop.sqlite3"
    monkeypatch.setattr(settings, "SHOP_DATABASE", str(path))
    return path


def write(task_id: str, event: str, at: float, *, attempt: int = 0, **more: object) -> None:
    row = {"task_id": task_id, "attempt": attempt, "task": "t", "queue": "exports"}
    row |= {"event": event, "at": at, "due": at if event == "published" else None, **more}
    with connect() as db:
        db.execute(
            f"INSERT INTO task_runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        pytest.param([], 50, None, id="nothing is unknown, not zero"),
        pytest.param([3.0], 99, 3.0, id="one value is every percentile"),
        pytest.param([1.0, 2.0, 3.0, 4.0], 50, 2.0, id="half of four are not above the second"),
        pytest.param([float(n) for n in range(1, 101)], 99, 99.0, id="99 of 100"),
        pytest.param([float(n) for n in range(1, 11)], 99, 10.0, id="99 % of ten is all ten"),
    ],
)
def test_a_percentile_is_the_nearest_rank(
    values: list[float], percent: float, expected: float | None
) -> None:
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1, 100))
def test_at_least_that_share_of_the_values_does_not_exceed_the_percentile(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6


def test_a_visitor_without_an_answer_has_waited_until_now() -> None:
    log = VisitLog()
    log.read(line_of(0, kind=Kind.CLICK, sent_at=100.0))
    log.read(line_of(1, kind=Kind.PAGE, sent_at=100.0))
    log.read(line_of(2, kind=Kind.PAGE, sent_at=101.0))
    log.read(line_of(2, took_s=0.5))
    seen = scene(log, started_at=99.0, now=108.0, clicks=2)
    assert seen.page_p50_s == 0.5
    assert seen.page_p99_s == 8.0
    assert not seen.everybody_left


def test_the_page_is_measured_from_the_first_click_on() -> None:
    log = VisitLog()
    log.read(line_of(0, kind=Kind.PAGE, sent_at=100.0))
    log.read(line_of(0, took_s=50.0))
    assert scene(log, started_at=99.0, now=101.0, clicks=1).page_p99_s is None


def test_a_visitor_who_left_without_a_pdf_is_not_waited_for() -> None:
    log = VisitLog()
    log.read(line_of(0, kind=Kind.CLICK, sent_at=100.0))
    log.read(line_of(0, took_s=1.0, ok=False))
    log.read(line_of(0, over=True))
    seen = scene(log, started_at=99.0, now=108.0, clicks=1)
    assert (seen.pdfs, seen.everybody_left) == (0, True)


def test_the_same_seed_clicks_at_the_same_moments() -> None:
    assert Sizes(seed=7).click_times() == Sizes(seed=7).click_times()
    assert Sizes(seed=7).click_times() != Sizes(seed=8).click_times()


@pytest.mark.parametrize("rows_per_s", [100.0, 1_700.0, 8_000.0])
def test_exports_of_one_act_take_their_time_on_a_slow_machine_and_on_a_quick_one(
    rows_per_s: float,
) -> None:
    show = Sizes(clicks=40, duration_s=20.0)
    took = show.clicks * show.rows_at(rows_per_s, most=25_000) / rows_per_s
    assert took == pytest.approx(20.0, rel=0.02)


def test_an_export_of_a_given_cost_has_the_rows_that_one_core_makes_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "cores", lambda: 4)
    assert Sizes(export_cost_s=1.5).rows_at(4_000.0, most=25_000) == 1_500


def test_an_export_is_never_longer_than_there_are_orders() -> None:
    assert Sizes(clicks=1, duration_s=600.0).rows_at(8_000.0, most=25_000) == 25_000


def test_a_task_that_was_published_and_never_finished_is_lost(database: Path) -> None:
    write("done", "published", 1.0)
    write("done", "started", 2.0)
    write("done", "finished", 3.0, outcome="SUCCESS")
    write("never started", "published", 1.0)
    write("cut", "published", 1.0)
    write("cut", "started", 2.0)
    assert tally.count(database) == Tally(published=3, finished=1, failed=0, lost=2, run_twice=0)


def test_a_task_that_started_twice_was_run_twice_and_a_retry_was_not(database: Path) -> None:
    for at in (2.0, 3.0):
        write("twice", "published", 1.0) if at == 2.0 else None
        write("twice", "started", at)
        write("twice", "finished", at + 0.5, outcome="SUCCESS")
    for attempt, outcome in enumerate(("RETRY", "FAILURE")):
        write("retried", "published", 1.0, attempt=attempt)
        write("retried", "started", 2.0, attempt=attempt)
        write("retried", "finished", 3.0, attempt=attempt, outcome=outcome)
    assert tally.count(database) == Tally(published=3, finished=3, failed=1, lost=0, run_twice=1)


def test_queues_are_counted_apart(database: Path) -> None:
    write("export", "published", 1.0)
    write("mail", "published", 1.0, queue="emails")
    write("mail", "started", 1.0, queue="emails")
    write("mail", "finished", 1.0, queue="emails", outcome="SUCCESS")
    assert tally.count(database, "exports").lost == 1
    assert tally.count(database, "emails").lost == 0
    assert tally.unfinished(database) == 1


def test_waiting_counts_from_the_moment_a_retry_is_due(database: Path) -> None:
    write("later", "published", 1.0, due=61.0)
    write("later", "started", 61.25)
    assert [run.waited_s for run in tally.runs(database)] == [0.25]


def run(due: float, started: float | None, finished: float | None = None) -> Run:
    return Run(queue="exports", due=due, started=started, finished=finished)


def test_the_queue_is_as_long_as_tasks_are_due_and_not_started() -> None:
    steps = curves.waiting([run(1.0, 4.0), run(2.0, 5.0), run(3.0, None)])
    assert list(zip(steps.times, steps.values, strict=True)) == [
        (1.0, 1.0),
        (2.0, 2.0),
        (3.0, 3.0),
        (4.0, 2.0),
        (5.0, 1.0),
    ]


@given(st.lists(st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(0, 100)))))
def test_no_queue_is_ever_shorter_than_empty(spans: list[tuple[float, float | None]]) -> None:
    assert min(curves.waiting(run(*span) for span in spans).values, default=0) >= 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (0.00042, "0.42 ms"),
        (0.0041, "4.1 ms"),
        (0.0316, "32 ms"),
        (0.315, "320 ms"),
        (3.24, "3.2 s"),
        (48.4, "48 s"),
        (125.0, "2 m 05 s"),
    ],
)
def test_durations_are_two_figures_and_a_unit(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_one_is_singular_and_unknown_is_not_zero() -> None:
    assert [plural(n, "worker") for n in (1, 4, None)] == ["1 worker", "4 workers", "? workers"]
    assert number(1140) == "1 140"

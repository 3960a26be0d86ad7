"""The sample shop without a broker: its pages, its report, its billing, its retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery.signals import task_retry
from flask.testing import FlaskClient

from sluiceway_sample import report, settings, tasks
from sluiceway_sample.database import connect
from sluiceway_sample.outside import ServiceError
from sluiceway_sample.web import web


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "shop.sqlite3"
    monkeypatch.setattr(settings, "SHOP_DATABASE", str(path))
    return path


@pytest.fixture
def browser() -> FlaskClient:
    return web.test_client()


@pytest.fixture
def retries() -> Iterator[list[float]]:
    """Seconds that each retry waits, in the order of the attempts."""
    seen: list[float] = []

    def remember(reason: Any, **_: Any) -> None:
        seen.append(reason.when)

    task_retry.connect(remember)
    yield seen
    task_retry.disconnect(remember)


def charges() -> list[tuple[str, int]]:
    with connect() as db:
        return [tuple(row) for row in db.execute("SELECT transaction_id, order_id FROM charges")]


def test_a_customer_is_billed_once_however_often_the_task_runs() -> None:
    for _ in range(3):
        tasks.charge_customer(7, "t-1")
    assert charges() == [("t-1", 7)]


def test_another_transaction_is_another_bill() -> None:
    tasks.charge_customer(7, "t-1")
    tasks.charge_customer(7, "t-2")
    assert charges() == [("t-1", 7), ("t-2", 7)]


def test_a_failing_video_is_tried_again_after_60_120_and_240_seconds_and_then_given_up(
    retries: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(service: str) -> None:
        raise ServiceError(service)

    monkeypatch.setattr(tasks, "call", down)
    outcome = tasks.process_video_upload.apply(args=(1,))
    assert retries == [60, 120, 240]
    assert isinstance(outcome.result, ServiceError)


def test_a_partner_that_is_down_is_tried_again_within_growing_random_waits(
    retries: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(service: str) -> None:
        raise ServiceError(service)

    monkeypatch.setattr(tasks, "call", down)
    tasks.sync_partner.apply(args=("acme",))
    assert len(retries) == 8
    assert all(0 <= wait <= min(1800, 60 * 2**i) for i, wait in enumerate(retries))
    assert retries != [60 * 2**i for i in range(8)]


def test_a_mail_is_sent_once() -> None:
    with connect() as db:
        db.execute("INSERT INTO emails (recipient, subject) VALUES ('a@shop.example', 'hello')")
    tasks.send_email(1)
    with connect() as db:
        first = db.execute("SELECT sent_at FROM emails").fetchone()[0]
    tasks.send_email(1)
    with connect() as db:
        assert db.execute("SELECT sent_at FROM emails").fetchone()[0] == first


def test_the_report_is_a_pdf_that_grows_with_its_rows() -> None:
    short, long = report.make_pdf(5), report.make_pdf(200)
    assert short.startswith(b"%PDF")
    assert short.count(b"/Type /Page\n") < long.count(b"/Type /Page\n")


def test_an_export_that_was_purged_meanwhile_says_so() -> None:
    with pytest.raises(LookupError, match="no export 99"):
        report.export(99)


def test_the_purge_forgets_old_exports_only() -> None:
    with connect() as db:
        db.execute(
            "INSERT INTO exports (rows, asked_at) VALUES (1, 0), (2, unixepoch())",
        )
    tasks.purge_old_exports()
    with connect() as db:
        assert [row["rows"] for row in db.execute("SELECT rows FROM exports")] == [2]


def test_the_light_page_needs_neither_broker_nor_database(
    browser: FlaskClient, database: Path
) -> None:
    assert browser.get("/").status_code == 200
    assert not database.exists()


def test_the_old_way_answers_with_the_pdf_itself(browser: FlaskClient) -> None:
    answer = browser.post("/exports/inline", data={"rows": 5}, follow_redirects=True)
    assert answer.mimetype == "application/pdf"
    assert answer.data.startswith(b"%PDF")


@pytest.mark.parametrize("rows", ["0", "25001"])
def test_a_report_of_a_senseless_size_is_refused_before_anything_is_written_down(
    browser: FlaskClient, rows: str
) -> None:
    assert browser.post("/exports", data={"rows": rows}).status_code == 400
    with connect() as db:
        assert db.execute("SELECT COUNT(*) FROM exports").fetchone()[0] == 0


def test_an_unknown_task_is_not_found(browser: FlaskClient) -> None:
    assert browser.get("/tasks/no-such-task").status_code == 404


def test_the_partner_is_down_until_somebody_mends_it(browser: FlaskClient) -> None:
    assert browser.post("/services/partner").status_code == 503
    browser.put("/services/partner", json={"up": True})
    assert browser.post("/services/partner").status_code == 204


def test_a_transaction_that_fails_leaves_nothing_behind() -> None:
    with suppress(ZeroDivisionError), connect() as db:
        db.execute("INSERT INTO charges VALUES ('t-1', 7, 100, 0)")
        _ = 1 / 0
    assert charges() == []


def test_the_tables_are_created_once_when_many_come_first_together() -> None:
    together = threading.Barrier(8)
    orders: list[int] = []

    def come() -> None:
        together.wait()
        with connect() as db:
            orders.append(db.execute("SELECT COUNT(*) FROM orders").fetchone()[0])

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert orders == [25_000] * 8


def test_the_purge_is_due_at_three_in_the_morning_and_the_billing_report_on_mondays() -> None:
    due = {name: entry["schedule"] for name, entry in tasks.app.conf.beat_schedule.items()}
    assert (due["purge-old-exports"].hour, due["purge-old-exports"].minute) == ({3}, {0})
    assert due["weekly-billing-report"].day_of_week == {1}


def test_every_task_has_a_queue_of_the_sample_fleets() -> None:
    routed = {name: route["queue"] for name, route in tasks.app.conf.task_routes.items()}
    own = {name for name in tasks.app.tasks if name.startswith("sluiceway_sample.")}
    assert own == set(routed)
    assert set(routed.values()) == {"exports", "videos", "emails", "billing", "partners"}

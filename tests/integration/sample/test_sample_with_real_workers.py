"""The shop's promises, kept by real processes."""

from __future__ import annotations

from typing import Any

import pytest


def test_an_export_is_accepted_at_once_and_its_page_leads_to_a_real_pdf(shop: Any) -> None:
    answer = shop.visitor.post("/exports", data={"rows": 30})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/tasks/{answer.json()['task_id']}"

    shop.until(lambda: "pdf" in shop.visitor.get(answer.headers["Location"]).json())
    task = shop.visitor.get(answer.headers["Location"]).json()
    pdf = shop.visitor.get(task["pdf"])
    assert pdf.headers["Content-Type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF")
    assert task["result"]["bytes"] == len(pdf.content)


def test_the_same_charge_sent_twice_is_two_tasks_and_one_bill(shop: Any) -> None:
    tasks = [
        shop.visitor.post(
            "/charges", data={"order_id": 7}, headers={"Idempotency-Key": "click-1"}
        ).json()["task_id"]
        for _ in range(2)
    ]
    for task in tasks:
        shop.until_finished(task)
    assert len(set(tasks)) == 2
    assert shop.rows("SELECT transaction_id, order_id FROM charges") == [("click-1", 7)]


def test_a_failing_video_waits_twice_as_long_each_time_and_is_given_up_after_three_retries(
    shop: Any,
) -> None:
    shop.visitor.put("/services/transcoder", json={"up": False})
    task = shop.visitor.post("/uploads", content=b"a video").json()["task_id"]
    shop.until_finished(task)
    waits = shop.rows(
        "SELECT due - at FROM task_runs WHERE task_id = ? AND event = 'published' ORDER BY attempt",
        task,
    )
    # SHOP_RETRY_BASE is 1 here: 1, 2 and 4 s in place of 60, 120 and 240.
    assert [wait for (wait,) in waits] == pytest.approx([0, 1, 2, 4], abs=0.5)
    assert [run for run in shop.runs(task) if run[1] == "finished"] == [
        (0, "finished", "RETRY"),
        (1, "finished", "RETRY"),
        (2, "finished", "RETRY"),
        (3, "finished", "FAILURE"),
    ]


def test_a_partner_that_comes_back_is_told_by_a_retry(shop: Any) -> None:
    task = shop.visitor.post("/partners/acme/sync").json()["task_id"]
    shop.until(lambda: (0, "finished", "RETRY") in shop.runs(task))
    assert shop.rows("SELECT partner FROM partner_syncs") == []
    shop.visitor.put("/services/partner", json={"up": True})
    shop.until_finished(task)
    assert shop.rows("SELECT partner FROM partner_syncs") == [("acme",)]


def test_a_site_whose_broker_is_down_says_so_and_keeps_its_light_page(
    shop: Any, redis_server: Any
) -> None:
    redis_server.stop()
    answer = shop.visitor.post("/emails", data={"recipient": "a@shop.example", "subject": "hi"})
    assert answer.status_code == 503
    assert shop.visitor.get("/").status_code == 200

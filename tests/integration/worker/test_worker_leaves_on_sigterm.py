"""SIGTERM, from Kubernetes or anyone: drain first, then leave; a second one is Celery's."""

from __future__ import annotations

import json
import signal
from itertools import count
from typing import Any

import pytest

from sluiceway_worker import wire


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_an_idle_worker_that_holds_work_for_later_gives_it_back_and_leaves_no_trace(
    pool: str, queue: Any, start_worker: Any, records: Any
) -> None:
    for _ in range(3):
        queue.send("work", 0, countdown=600)
    before = queue.waiting()
    worker = start_worker("-c", "2", "-P", pool)
    worker.says(scheduled=3)
    worker.terminate()
    assert worker.ends() == 0
    assert queue.waiting() == before
    assert queue.unacked() == 0
    assert worker.heartbeat() is None
    assert worker.incarnation() is None


def test_a_busy_worker_says_that_it_stops_finishes_its_task_and_takes_no_other(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2")
    running = queue.send("work", 4)
    records.wait_for("started", running)
    worker.terminate()
    worker.says(state=wire.STOPPING, active=1)
    left = queue.send()
    assert worker.ends() == 0
    assert records.of("finished") == {running: 1}
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == [left]
    assert queue.unacked() == 0


def test_a_worker_that_is_drained_already_leaves_at_once(queue: Any, start_worker: Any) -> None:
    worker = start_worker("-c", "1")
    worker.ask_to_drain(ttl_ms=120_000)
    worker.says(state=wire.DRAINED)
    worker.terminate()
    assert worker.ends() == 0


def test_the_first_signal_is_told_to_the_application_at_once_as_celery_does(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 4)
    records.wait_for("started", running)
    worker.terminate()
    wait_for(lambda: "worker: Warm shutdown" in worker.log.read_text(), "Celery's own words")
    assert running not in records.of("finished")
    assert worker.ends() == 0


def test_a_second_signal_is_celerys_own_warm_shutdown(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 3)
    records.wait_for("started", running)
    worker.terminate()
    worker.says(state=wire.STOPPING)
    worker.terminate()
    assert worker.ends() == 0
    assert records.of("finished") == {running: 1}
    assert queue.empty()


def test_sigquit_ends_a_stopping_worker_without_waiting_and_its_task_is_not_lost(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 60)
    records.wait_for("started", running)
    worker.terminate()
    worker.says(state=wire.STOPPING)
    worker.process.send_signal(signal.SIGQUIT)
    worker.ends()
    assert not records.of("finished")
    assert queue.length() + queue.unacked() == 1


def test_workers_that_are_replaced_under_a_trickle_of_tasks_lose_and_repeat_none(
    queue: Any, start_worker: Any, records: Any
) -> None:
    sent: list[str] = []
    number = count()

    def trickle(tasks: int) -> None:
        for _ in range(tasks):
            n = next(number)
            seconds = 0.8 if n % 15 == 0 else 0.01
            sent.append(queue.send("work", seconds, priority=(0, 3, 6, 9)[n % 4]))

    stays, leaves = start_worker("-c", "2"), start_worker("-c", "2")
    for _ in range(4):
        trickle(40)
        leaves.terminate()
        trickle(40)
        assert leaves.ends() == 0
        leaves = start_worker("-c", "2")
    records.wait_for("finished", *sent)
    for worker in (leaves, stays):
        worker.terminate()
        assert worker.ends() == 0
    assert queue.empty()
    assert records.of("started") == records.of("finished") == dict.fromkeys(sent, 1)

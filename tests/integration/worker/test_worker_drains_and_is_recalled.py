"""Told to drain, a worker loses nothing; called back, it works on."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from sluiceway_worker import wire

POOLS = [
    pytest.param(("-P", "prefork"), id="prefork"),
    pytest.param(("-P", "threads"), id="threads"),
    pytest.param(("-P", "gevent"), id="gevent"),
]


@pytest.mark.parametrize("pool", [*POOLS, pytest.param(("-P", "solo"), id="solo")])
def test_an_idle_worker_drains_and_takes_tasks_again_when_it_is_recalled(
    pool: tuple[str, ...], queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "2", *pool)
    for _ in range(3):
        worker.ask_to_drain()
        worker.says(state=wire.DRAINED)
        task = queue.send()
        worker.says(state=wire.DRAINED)
        assert queue.length() == 1
        worker.recall()
        records.wait_for("finished", task)
        worker.says(state=wire.CONSUMING, active=0)
    wait_for(queue.empty, "nothing held any more")
    assert set(records.of("started").values()) == {1}


@pytest.mark.parametrize("pool", POOLS)
def test_a_drain_lets_running_tasks_finish_and_starts_no_other(
    pool: tuple[str, ...], queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2", *pool)
    running = [queue.send("work", 3), queue.send("work", 3)]
    records.wait_for("started", *running)
    behind = [queue.send("work", 0) for _ in range(3)]
    worker.ask_to_drain()
    worker.says(state=wire.DRAINING, active=2)
    assert worker.says(state=wire.DRAINED).active == 0
    records.wait_for("finished", *running)
    assert queue.length() == 3
    assert queue.unacked() == 0
    assert not set(behind) & set(records.of("started"))
    worker.recall()
    records.wait_for("finished", *behind)


@pytest.mark.parametrize("pool", [*POOLS, pytest.param(("-P", "solo"), id="solo")])
def test_what_is_held_for_later_goes_back_to_the_head_unchanged(
    pool: tuple[str, ...], queue: Any, start_worker: Any, records: Any
) -> None:
    for countdown in (600, 500, 700):
        queue.send("work", 0, countdown=countdown, headers={"note": countdown})
    urgent = queue.send("work", 0, countdown=800, priority=6)
    before = queue.waiting(), queue.waiting(6)
    assert len(before[0]) == 3
    worker = start_worker("-c", "1", *pool)
    beat = worker.says(scheduled=4)
    soonest = next(m for m in before[0] if json.loads(m)["headers"]["note"] == 500)
    eta = json.loads(soonest)["headers"]["eta"]
    assert beat.earliest_eta == pytest.approx(_timestamp(eta))
    # How long it is held all in all, counted from its take.
    assert beat.longest_hold_s is not None
    assert 400 < beat.longest_hold_s <= 800
    assert beat.reserved == 0
    assert queue.length() == 0
    for _ in range(2):
        worker.ask_to_drain()
        worker.says(state=wire.DRAINED, scheduled=0)
        assert (queue.waiting(), queue.waiting(6)) == before
        assert queue.unacked() == 0
        worker.recall()
        worker.says(state=wire.CONSUMING, scheduled=4)
    assert urgent not in records.of("started")


def test_a_lease_that_nobody_renews_ends_and_the_worker_takes_tasks_again(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    worker.ask_to_drain(ttl_ms=2500)
    worker.says(state=wire.DRAINED)
    task = queue.send()
    records.wait_for("finished", task)
    worker.says(state=wire.CONSUMING)


def test_an_emptied_database_ends_the_drain(queue: Any, start_worker: Any, records: Any) -> None:
    worker = start_worker("-c", "1")
    worker.ask_to_drain()
    worker.says(state=wire.DRAINED)
    queue.redis.flushall()
    worker.says(state=wire.CONSUMING)
    records.wait_for("finished", queue.send())


def test_a_reserved_task_that_waits_for_a_child_is_given_back(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1", "--prefetch-multiplier", "4", SLUICEWAY_ACKS="early")
    running = queue.send("work", 4)
    records.wait_for("started", running)
    waiting = [queue.send() for _ in range(4)]
    worker.says(active=1, reserved=4)
    worker.ask_to_drain()
    worker.says(state=wire.DRAINING, active=1, reserved=0)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == waiting
    assert not any(b"redelivered" in message for message in queue.waiting())
    worker.says(state=wire.DRAINED)
    worker.recall()
    records.wait_for("finished", running, *waiting)
    assert set(records.of("started").values()) == {1}


def test_a_task_that_waits_for_its_rate_limit_is_given_back(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "3")
    first, *others = [queue.send("rare") for _ in range(3)]
    records.wait_for("finished", first)
    worker.says(reserved=2)
    worker.ask_to_drain()
    worker.says(state=wire.DRAINED, reserved=0)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == others


def test_a_thread_pools_queued_task_is_given_back(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker(
        "-c", "1", "-P", "threads", "--prefetch-multiplier", "3", SLUICEWAY_ACKS="early"
    )
    running = queue.send("work", 4)
    records.wait_for("started", running)
    waiting = [queue.send() for _ in range(2)]
    worker.says(active=1, reserved=2)
    worker.ask_to_drain()
    worker.says(state=wire.DRAINING, active=1, reserved=0)
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == waiting
    worker.says(state=wire.DRAINED)
    assert set(records.of("started")) == {running}


def _timestamp(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()

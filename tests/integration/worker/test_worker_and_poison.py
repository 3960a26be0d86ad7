"""A message that workers may have died of runs alone, and in the end not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluiceway_worker import wire
from sluiceway_worker.fate import Death, fate_of


def suspect(queue: Any, task: str, *args: Any) -> str:
    """Publish a task that two workers have died with already."""
    task_id = queue.send(task, *args, queue="aside")
    raw = queue.redis.lpop("aside")
    for at in (1.0, 2.0):
        raw = fate_of(raw, Death(incarnation="w0:0", at=at, blamed=True)).message
    assert json.loads(raw)["headers"]["sluiceway_suspect"] is True
    queue.redis.rpush(queue.key(), raw)
    return task_id


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_a_suspect_waits_for_an_empty_worker_and_nothing_runs_beside_it(
    pool: str, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    start_worker("-c", "3", "-P", pool)
    before = [queue.send("work", 3) for _ in range(2)]
    records.wait_for("started", *before)
    alone = suspect(queue, "work", 1)
    after = queue.send("work", 0)
    records.wait_for("finished", alone, after, *before)
    wait_for(queue.empty, "acknowledged")
    rows = records.rows()
    assert set(rows[:4]) == {*(("started", t) for t in before), *(("finished", t) for t in before)}
    assert rows[4:] == [
        ("started", alone),
        ("finished", alone),
        ("started", after),
        ("finished", after),
    ]


def test_of_two_workers_the_empty_one_takes_it_at_once(
    queue: Any, start_worker: Any, records: Any
) -> None:
    busy = start_worker("-c", "2")
    running = queue.send("work", 300)
    records.wait_for("started", running)
    busy.says(active=1)
    start_worker("-c", "2")
    alone = suspect(queue, "work", 0)
    records.wait_for("finished", alone)
    assert set(records.of("finished")) == {alone}
    assert records.of("started") == {running: 1, alone: 1}


def test_what_a_process_of_the_pool_died_of_three_times_is_a_dead_letter(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    task = queue.send("die")
    assert the_only_dead_letter(queue, wait_for) == (task, ["SIGKILL of a pool process"] * 3)
    assert records.of("started") == {task: 3}
    next_one = queue.send()
    records.wait_for("finished", next_one)
    worker.says(state=wire.CONSUMING, active=0)


@pytest.mark.parametrize("raised", ["MemoryError", "SystemExit"])
@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_what_celery_fails_over_is_not_held_for_ever_by_a_pool_that_swallows_it(
    pool: str, raised: str, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "2", "-P", pool)
    task = queue.send("raise_it", raised)
    assert the_only_dead_letter(queue, wait_for) == (task, [f"{raised} in the task"] * 3)
    assert records.of("started") == {task: 3}
    next_one = queue.send()
    records.wait_for("finished", next_one)
    worker.says(state=wire.CONSUMING, active=0)


@pytest.mark.parametrize(
    ("pool", "raised"),
    [("prefork", "MemoryError"), ("solo", "MemoryError"), ("solo", "SystemExit")],
)
def test_what_celery_ends_its_worker_over_counts_a_death_each_time(
    pool: str, raised: str, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    task = queue.send("raise_it", raised)
    for _ in range(3):
        assert start_worker("-c", "1", "-P", pool, ready=False).ends() == 1
    assert the_only_dead_letter(queue, wait_for) == (task, [f"{raised} in the task"] * 3)
    assert records.of("started") == {task: 3}


def the_only_dead_letter(queue: Any, wait_for: Any) -> tuple[str, list[str]]:
    """Its task's id and the reasons, once the message is nowhere else."""
    letters = wire.dead_key("", "test/work")
    wait_for(lambda: queue.redis.hlen(letters), "it is a dead letter")
    wait_for(queue.empty, "and nowhere else")
    (letter,) = map(wire.Letter.from_bytes, queue.redis.hvals(letters))
    return letter.id, [reason for _, reason, _ in letter.deaths]


def test_what_comes_due_while_a_suspect_runs_waits_until_that_has_ended(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    """Were it poison, the suspect would be declared dead for it."""
    worker = start_worker("-c", "2")
    later = queue.send("work", 0, countdown=8)
    worker.says(scheduled=1)
    alone = suspect(queue, "work", 12)
    records.wait_for("finished", alone, later)
    wait_for(queue.empty, "acknowledged")
    assert records.rows() == [
        ("started", alone),
        ("finished", alone),
        ("started", later),
        ("finished", later),
    ]

"""What is far ahead is parked, not held: the worker is free to go, and it comes back in time."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime
from typing import Any

import pytest

from sluiceway_worker import parked, wire

FLEET = "test/work"
TAKES = [pytest.param("kombu", id="kombus-take"), pytest.param("atomic", id="atomic-take")]
POOLS = [pytest.param((), id="prefork"), pytest.param(("-P", "gevent"), id="gevent")]


@pytest.fixture
def stand_by(queue: Any) -> Any:
    """Say that somebody will start the fleet in time; with ``False`` nobody does any more."""

    def stand_by(does: bool = True) -> None:
        key = wire.parking_key(queue.prefix, FLEET)
        if does:
            queue.redis.set(key, "test", px=600_000)
        else:
            queue.redis.delete(key)

    return stand_by


def parked_messages(queue: Any, source: str = "work") -> list[bytes]:
    """The messages that are parked, the first to come due first."""
    names = queue.redis.zrange(wire.parked_key(queue.prefix, source), 0, -1)
    return [queue.redis.hget(wire.parked_bodies_key(queue.prefix, source), one) for one in names]


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("pool", POOLS)
def test_what_is_far_ahead_is_parked_unchanged_and_the_worker_holds_nothing(
    pool: tuple[str, ...],
    take: str,
    queue: Any,
    stand_by: Any,
    start_worker: Any,
    records: Any,
    wait_for: Any,
) -> None:
    stand_by()
    for countdown in (7200, 3600):
        queue.send("work", 0, countdown=countdown, headers={"note": countdown})
    urgent = queue.send("work", 0, countdown=5000, priority=6)
    later, soon = queue.waiting()
    (aside,) = queue.waiting(6)

    worker = start_worker("-c", "1", *pool, **{wire.ENV_TAKE: take})
    here = queue.send("work", 0)
    records.wait_for("finished", here)
    worker.says(scheduled=0, active=0, reserved=0)
    wait_for(lambda: len(parked_messages(queue)) == 2, "both parked")

    assert sorted(parked_messages(queue)) == sorted([later, soon])
    source = queue.key(6).removeprefix(queue.prefix)
    wait_for(lambda: parked_messages(queue, source) == [aside], "the urgent one parked")
    first = queue.redis.zrange(wire.parked_lists_key(queue.prefix), 0, 0, withscores=True)
    assert first == [(b"work", pytest.approx(_eta(soon), abs=0.001))]
    wait_for(queue.empty, "nothing waits and nothing is held")
    assert not queue.redis.keys("*sluiceway:held:*")
    assert urgent not in records.of("started")


@pytest.mark.parametrize("take", TAKES)
def test_a_parked_message_comes_back_and_starts_at_its_eta_once(
    take: str, queue: Any, stand_by: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    stand_by()
    env = {wire.ENV_TAKE: take, wire.ENV_PARK_AFTER: "2"}
    workers = [start_worker("-c", "1", **env) for _ in range(2)]
    task = queue.send("work", 0, countdown=10)
    wait_for(lambda: any(f"Parked task {task}" in w.log.read_text() for w in workers), "parked")

    records.wait_for("finished", task)

    wait_for(queue.empty, "nothing held any more")
    assert records.of("started") == {task: 1}
    assert not queue.redis.keys("*sluiceway:parked*")
    # Brought back ahead of its time, it was held to the moment.
    assert sum(w.log.read_text().count(f"[{task}] received") for w in workers) == 2


@pytest.mark.parametrize("take", TAKES)
def test_while_nobody_stands_by_it_is_held_and_parked_once_somebody_does(
    take: str, queue: Any, stand_by: Any, start_worker: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", **{wire.ENV_TAKE: take})
    queue.send("work", 0, countdown=3600)
    held = worker.says(scheduled=1).longest_hold_s
    assert held is not None
    assert 3000 < held <= 3600
    assert queue.unacked() == 1
    stand_by()
    worker.says(scheduled=0, longest_hold_s=None)
    wait_for(lambda: len(parked_messages(queue)) == 1, "it is parked")
    wait_for(queue.empty, "nothing held any more")
    stand_by(False)
    queue.send("work", 0, countdown=3600)
    worker.says(scheduled=1)
    assert len(parked_messages(queue)) == 1


@pytest.mark.parametrize("take", TAKES)
def test_a_worker_that_dies_or_drains_leaves_what_is_parked_where_it_is(
    take: str, queue: Any, stand_by: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    stand_by()
    env = {wire.ENV_TAKE: take, wire.ENV_PARK_AFTER: "2"}
    first = start_worker("-c", "1", **env)
    task = queue.send("work", 0, countdown=40)
    far = queue.send("work", 0, countdown=3600)
    wait_for(lambda: len(parked_messages(queue)) == 2, "both are parked")
    os.killpg(first.process.pid, signal.SIGKILL)
    first.ends()
    second = start_worker("-c", "1", **env)
    second.ask_to_drain()
    second.says(state=wire.DRAINED)
    assert len(parked_messages(queue)) == 2
    second.terminate()
    second.ends()
    assert len(parked_messages(queue)) == 2
    assert queue.empty()

    # As if 40 seconds had passed.
    queue.redis.zadd(wire.parked_lists_key(queue.prefix), {"work": 1.0})
    queue.redis.zadd(
        wire.parked_key(queue.prefix, "work"),
        {queue.redis.zrange(wire.parked_key(queue.prefix, "work"), 0, 0)[0]: 1.0},
    )
    start_worker("-c", "1", **{**env, wire.ENV_PARK_AFTER: "100"})
    records.wait_for("finished", task)
    assert records.of("started") == {task: 1}
    assert len(parked_messages(queue)) == 1
    assert far not in records.of("started")


def test_a_task_that_is_acknowledged_before_its_run_is_held_as_celery_has_it(
    queue: Any, stand_by: Any, start_worker: Any
) -> None:
    stand_by()
    worker = start_worker("--acks", "early", "-c", "1")
    queue.send("work", 0, countdown=3600)
    worker.says(scheduled=1)
    assert not parked_messages(queue)


def test_what_was_revoked_meanwhile_is_discarded_when_it_comes_back(
    queue: Any, stand_by: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    stand_by()
    worker = start_worker("-c", "1")
    task = queue.send("work", 0, countdown=3600)
    wait_for(lambda: len(parked_messages(queue)) == 1, "it is parked")
    queue.app.control.revoke(task)
    wait_for(lambda: "Tasks flagged as revoked" in worker.log.read_text(), "the revoke is heard")

    queue.redis.zadd(wire.parked_lists_key(queue.prefix), {"work": 1.0})
    (name,) = queue.redis.zrange(wire.parked_key(queue.prefix, "work"), 0, -1)
    queue.redis.zadd(wire.parked_key(queue.prefix, "work"), {name: 1.0})
    wait_for(lambda: "Discarding revoked task" in worker.log.read_text(), "it is discarded")
    wait_for(queue.empty, "nothing held any more")
    assert not records.rows()
    assert not parked_messages(queue)


def test_a_second_release_and_a_second_parking_do_nothing(queue: Any) -> None:
    keys = parked.keys_of("", "work")
    lists, bodies, _, registry = keys
    park = ["unacked", "unacked_index", "held", lists, bodies, registry, "standing-by"]
    queue.redis.set("standing-by", "")
    for number, message in enumerate([b'{"a": [], "b": 1764000000.123456}', b'{"c": {}}']):
        tag = f"tag-{number}"
        queue.redis.hset("unacked", tag, b'[%b, "", "work"]' % message)
        queue.redis.zadd("unacked_index", {tag: 1.0})
        args = [tag, "", "", len(', "", "work"]'), "", 100.0 + number, "work"]
        assert queue.redis.eval(parked.PARK, len(park), *park, *args) == parked.PARKED
        assert queue.redis.eval(parked.PARK, len(park), *park, *args) == parked.NOT_MINE
    assert queue.redis.zscore(registry, "work") == 100.0
    assert queue.empty()

    def release(until: Any) -> int:
        return int(queue.redis.eval(parked.RELEASE, len(keys), *keys, until, 10, "work"))

    assert [release(99.0), release(100.5), release(100.5)] == [0, 1, 0]
    assert queue.redis.zscore(registry, "work") == 101.0
    assert release("+inf") == 1
    assert queue.waiting() == [b'{"c": {}}', b'{"a": [], "b": 1764000000.123456}']
    assert not queue.redis.keys("*parked*")


def test_where_the_message_cannot_be_written_it_stays_held(queue: Any) -> None:
    lists, bodies, _, registry = parked.keys_of("", "work")
    park = ["unacked", "unacked_index", "held", lists, bodies, registry, "standing-by"]
    queue.redis.set("standing-by", "")
    queue.redis.set(registry, "no sorted set")
    queue.redis.hset("unacked", "tag", b'[{}, "", "work"]')
    args = ["tag", "", "", len(', "", "work"]'), "", 100.0, "work"]
    with pytest.raises(Exception, match="WRONGTYPE"):
        queue.redis.eval(parked.PARK, len(park), *park, *args)
    assert queue.unacked() == 1
    assert not queue.redis.exists(lists, bodies)


def _eta(message: bytes) -> float:
    return datetime.fromisoformat(json.loads(message)["headers"]["eta"]).timestamp()

"""Local mode with real workers: what lies ahead is parked, and each task runs once, in time."""

from __future__ import annotations

import os
import signal
from typing import Any

import redis

from sluiceway_worker import wire

FLEET = "default/work"
SOON = {wire.ENV_PARK_AFTER: "4"}
"""Parked is what is due in more than four seconds, so that a test need not wait minutes."""


def parked_count(client: redis.Redis) -> int:
    return int(client.zcard(wire.parked_key("", "work")))


async def test_a_fleet_whose_work_lies_ahead_goes_to_zero_and_is_started_in_time_for_it(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work"), env=SOON)
    now = counted.publish(local.broker_url, "nap", 0.1, queue="work")
    counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=3 * 3600)
    near = counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=60)
    with redis.Redis.from_url(local.broker_url) as client:
        await until(lambda: counted.each_ran_once([now]))
        await until(lambda: parked_count(client) == 2)
        await seen(local, lambda told: told[FLEET].workers.asked == 0)
        await until(lambda: local.running() == 0)
        assert local.journal.statuses[FLEET].queues[0].parked == 2
        assert "2 parked, the first due at" in local.journal.statuses[FLEET].sentence
        assert client.llen("work") == client.hlen("unacked") == 0

        await until(lambda: counted.times("finished").keys() == {now, near}, within_s=180)
        await until(lambda: local.running() == 0)

        assert counted.each_ran_once([now, near])
        assert parked_count(client) == 1


async def test_workers_that_are_killed_neither_lose_nor_double_what_was_parked(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(
        taskqueue("work", scaling={"minReplicas": 1, "maxReplicas": 2}), env=SOON
    )
    await seen(local, lambda told: told[FLEET].workers.ready == 1)
    tasks = [
        counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=countdown)
        for countdown in (25, 25, 26, 30, 35)
    ]
    with redis.Redis.from_url(local.broker_url) as client:
        await until(lambda: parked_count(client) == len(tasks))
        os.killpg(local.fleets[FLEET].running[0].child.pid, signal.SIGKILL)

        await until(lambda: len(counted.times("finished")) == len(tasks), within_s=150)

        await until(lambda: client.hlen("unacked") == 0)
        assert counted.each_ran_once(tasks)
        assert not client.keys("*sluiceway:parked*")


async def test_when_local_mode_stops_what_was_parked_lies_in_its_queue_again(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, redis_server: Any
) -> None:
    url = redis_server.url
    local = await start_local(
        taskqueue("work", broker={"url": url}, scaling={"minReplicas": 1}), env=SOON
    )
    far = [counted.publish(url, "nap", 0.1, queue="work", countdown=3600) for _ in range(3)]
    with redis.Redis.from_url(url) as client:
        await until(lambda: parked_count(client) == 3)

        await local.stop()

        assert client.llen("work") == 3
        assert not client.keys("*sluiceway:parked*")
        assert not client.exists(wire.parking_key("", FLEET))
        assert client.zcard("unacked_index") == 0
    assert not set(far) & set(counted.times("started"))

"""Fleets of real workers come, work and go as their queues need them, and lose nothing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import redis

from sluiceway.report.status import DEMAND_KNOWN
from sluiceway_worker.wire import workers_key

FLEET = "default/work"


async def test_a_fleet_grows_from_zero_works_everything_off_and_goes_back_to_zero(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"maxReplicas": 2}))
    await seen(local, lambda now: FLEET in now)
    assert local.running() == 0

    tasks = [counted.publish(local.broker_url, "nap", 0.5, queue="work") for _ in range(12)]

    await seen(local, lambda now: now[FLEET].workers.ready == 2)
    await until(lambda: counted.each_ran_once(tasks))
    await seen(local, lambda now: now[FLEET].workers.asked == 0)
    await until(lambda: local.running() == 0)
    assert [event.kind for event in local.journal.events if event.kind == "WorkerEnded"] == []
    assert local.worker_seconds() > 0


async def test_a_task_that_is_longer_than_the_scale_down_is_finished_and_run_once(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    one_each = {"maxReplicas": 2, "target": {"backlogPerReplica": 1}}
    local = await start_local(taskqueue("work", scaling=one_each))
    tasks = [counted.publish(local.broker_url, "wait_for", str(gate), queue="work")]
    await until(lambda: len(counted.times("started")) == 1)
    tasks += [counted.publish(local.broker_url, "nap", 0.5, queue="work") for _ in range(6)]
    await until(lambda: len(counted.times("finished")) == 6)
    # The idle one of the two goes; the busy one is never told to.
    await seen(local, lambda now: now[FLEET].workers.asked == 1)
    await until(lambda: local.running() == 1)
    busy = local.fleets[FLEET].running[0]
    assert not busy.told_to_go
    gate.touch()

    await until(lambda: local.running() == 0)
    assert counted.each_ran_once(tasks)


async def test_a_task_with_an_eta_keeps_its_worker_until_it_has_run(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    local = await start_local(taskqueue("work", worker={"concurrency": 2}))
    tasks = [counted.publish(local.broker_url, "wait_for", str(gate), queue="work")]
    await until(lambda: len(counted.times("started")) == 1)
    (holder,) = local.fleets[FLEET].running

    # A worker that is there takes a message for later, too, and holds it.
    tasks.append(counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=8))
    await seen(local, lambda now: now[FLEET].scheduled == 1)
    gate.touch()

    await until(lambda: len(counted.times("finished")) == 2)
    assert local.fleets[FLEET].running == (holder,)
    assert not holder.told_to_go
    await until(lambda: local.running() == 0)
    assert counted.each_ran_once(tasks)


async def test_a_task_for_later_wakes_a_fleet_that_is_at_zero_when_it_comes_due(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work"))

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=8)

    await seen(local, lambda now: now[FLEET].queues[0].length == 1)
    assert local.running() == 0
    await until(lambda: counted.each_ran_once([task]))
    await until(lambda: local.running() == 0)


async def test_a_worker_that_died_is_taken_off_the_brokers_list_of_workers(
    start_local: Any, taskqueue: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"minReplicas": 1, "maxReplicas": 1}))
    await seen(local, lambda now: now[FLEET].workers.ready == 1)
    with redis.Redis.from_url(local.broker_url) as client:
        (listed,) = client.smembers(workers_key(""))

        os.kill(local.fleets[FLEET].running[0].child.pid, signal.SIGKILL)

        # Its heartbeat ends after ten seconds; the worker in its place is on the list.
        await until(lambda: listed not in client.smembers(workers_key("")))
        await until(lambda: client.scard(workers_key("")) == 1)


async def test_a_worker_that_dies_is_replaced_and_the_fleet_works_on(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"minReplicas": 1, "maxReplicas": 1}))
    await seen(local, lambda now: now[FLEET].workers.ready == 1)
    (dead,) = local.fleets[FLEET].running

    os.kill(dead.child.pid, signal.SIGKILL)

    await until(lambda: local.fleets[FLEET].running not in ((), (dead,)))
    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")
    await until(lambda: counted.each_ran_once([task]))
    ended = [event for event in local.journal.events if event.kind == "WorkerEnded"]
    assert len(ended) == 1
    assert f"worker {dead.name} ended by itself" in ended[0].sentence


async def test_a_fleet_that_cannot_start_says_why_and_the_others_go_on(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(
        taskqueue("broken", worker={"app": "no_such_module"}, scaling={"minReplicas": 1}),
        taskqueue("work"),
    )

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")

    await until(lambda: counted.each_ran_once([task]))
    await seen(
        local, lambda now: now["default/broken"].condition("Ready").reason == "WorkersFailing"
    )
    ended = next(event for event in local.journal.events if event.kind == "WorkerEnded")
    assert any("no_such_module" in line for line in ended.details)


async def test_another_interpreter_is_given_the_agent(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work"), python=sys.executable)

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")

    await seen(local, lambda now: now[FLEET].workers.ready == 1)
    await until(lambda: counted.each_ran_once([task]))


async def test_an_idle_fleet_keeps_its_minimum_and_knows_its_demand(
    start_local: Any, taskqueue: Any, seen: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"minReplicas": 1}))

    await seen(local, lambda now: now[FLEET].workers.ready == 1)

    status = local.journal.statuses[FLEET]
    assert status.condition(DEMAND_KNOWN).status == "True"
    assert (status.waiting, status.workers.asked) == (0, 1)

"""Fleets of real workers come, work and go as their queues need them, and lose nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sluiceway.decide.observation import WorkerState
from sluiceway.report.status import DEMAND_KNOWN

FLEET = "default/work"


async def test_a_fleet_grows_from_zero_works_everything_off_and_goes_back_to_zero(
    start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"maxReplicas": 2}))
    await local.journal.until(lambda now: FLEET in now)
    assert local.running() == 0

    tasks = [counted.publish(local.broker_url, "nap", 0.5, queue="work") for _ in range(12)]

    await local.journal.until(lambda now: now[FLEET].workers.ready == 2)
    await until(lambda: counted.each_ran_once(tasks))
    await local.journal.until(lambda now: now[FLEET].workers.asked == 0)
    await until(lambda: local.running() == 0)
    assert [event.kind for event in local.journal.events if event.kind == "WorkerEnded"] == []
    assert local.worker_seconds() > 0


async def test_a_task_that_is_longer_than_the_scale_down_is_finished_and_run_once(
    start_local: Any, taskqueue: Any, counted: Any, until: Any, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    local = await start_local(taskqueue("work", scaling={"maxReplicas": 2}))
    tasks = [counted.publish(local.broker_url, "wait_for", str(gate), queue="work")]
    await until(lambda: len(counted.times("started")) == 1)
    tasks += [counted.publish(local.broker_url, "nap", 0.5, queue="work") for _ in range(6)]
    await local.journal.until(lambda now: now[FLEET].workers.ready == 2)

    await until(lambda: len(counted.times("finished")) == 6)
    # The idle one of the two goes; the busy one is never told to.
    await local.journal.until(lambda now: now[FLEET].workers.asked == 1)
    await until(lambda: local.running() == 1)
    busy = local.fleets[FLEET].running[0]
    assert not busy.told_to_go
    gate.touch()

    await until(lambda: local.running() == 0)
    assert counted.each_ran_once(tasks)


async def test_a_task_with_an_eta_keeps_its_worker_until_it_has_run(
    start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"maxReplicas": 2}))

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work", countdown=8)

    await local.journal.until(lambda now: FLEET in now and now[FLEET].scheduled == 1)
    (holder,) = local.fleets[FLEET].running
    await until(lambda: counted.each_ran_once([task]))
    assert local.fleets[FLEET].running == (holder,)
    assert not holder.told_to_go
    await until(lambda: local.running() == 0)
    assert counted.each_ran_once([task])


async def test_a_worker_that_dies_is_replaced_and_the_fleet_works_on(
    start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"minReplicas": 1, "maxReplicas": 1}))
    await local.journal.until(lambda now: FLEET in now and now[FLEET].workers.ready == 1)
    (dead,) = local.fleets[FLEET].running

    os.kill(dead.child.pid, signal.SIGKILL)

    await until(lambda: local.fleets[FLEET].running not in ((), (dead,)))
    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")
    await until(lambda: counted.each_ran_once([task]))
    ended = [event for event in local.journal.events if event.kind == "WorkerEnded"]
    assert len(ended) == 1
    assert f"worker {dead.name} ended by itself" in ended[0].sentence


async def test_a_fleet_that_cannot_start_says_why_and_the_others_go_on(
    start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    local = await start_local(
        taskqueue("broken", worker={"app": "no_such_module"}, scaling={"minReplicas": 1}),
        taskqueue("work"),
    )

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")

    await until(lambda: counted.each_ran_once([task]))
    await local.journal.until(
        lambda now: now["default/broken"].condition("Ready").reason == "WorkersFailing"
    )
    ended = next(event for event in local.journal.events if event.kind == "WorkerEnded")
    assert any("no_such_module" in line for line in ended.details)


async def test_another_interpreter_is_given_the_agent(
    start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    import sys

    local = await start_local(taskqueue("work"), python=sys.executable)

    task = counted.publish(local.broker_url, "nap", 0.1, queue="work")

    await local.journal.until(lambda now: FLEET in now and now[FLEET].workers.ready == 1)
    await until(lambda: counted.each_ran_once([task]))


async def test_an_idle_fleet_keeps_its_minimum_and_knows_its_demand(
    start_local: Any, taskqueue: Any
) -> None:
    local = await start_local(taskqueue("work", scaling={"minReplicas": 1}))

    await local.journal.until(lambda now: FLEET in now and now[FLEET].workers.ready == 1)

    status = local.journal.statuses[FLEET]
    assert status.condition(DEMAND_KNOWN).status == "True"
    assert (status.waiting, status.workers.asked) == (0, 1)
    assert WorkerState.STARTING not in {status.workers.starting}

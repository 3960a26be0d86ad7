"""Local mode in trouble: what cannot be told never takes a worker away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluiceway.report.status import DEMAND_KNOWN

FLEET = "default/work"


async def test_while_the_broker_is_away_the_fleet_stays_and_says_that_demand_is_unknown(
    redis_server: Any,
    start_local: Any,
    taskqueue: Any,
    counted: Any,
    until: Any,
    seen: Any,
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    work = taskqueue(
        "work",
        broker={"url": redis_server.url},
        scaling={"maxReplicas": 2, "target": {"backlogPerReplica": 1}},
    )
    local = await start_local(work)
    tasks = [
        counted.publish(redis_server.url, "wait_for", str(gate), queue="work") for _ in range(2)
    ]
    await until(lambda: len(counted.times("started")) == 2)
    before = local.fleets[FLEET].running

    redis_server.stop()

    await seen(local, lambda now: now[FLEET].condition(DEMAND_KNOWN).status == "False")
    status = local.journal.statuses[FLEET]
    assert (status.waiting, status.in_flight) == (None, None)
    assert status.reason == "BrokerUnknown"
    assert status.workers.asked == 2
    assert local.fleets[FLEET].running == before

    redis_server.start()
    gate.touch()

    await seen(local, lambda now: now[FLEET].condition(DEMAND_KNOWN).status == "True")
    await until(lambda: set(counted.times("finished")) == set(tasks))
    await until(lambda: local.running() == 0)


async def test_a_queue_of_the_wrong_key_type_holds_its_own_fleet_and_the_others_are_served(
    redis_server: Any, start_local: Any, taskqueue: Any, counted: Any, until: Any
) -> None:
    redis_server.client().set("spoilt", "not a list")
    here = {"url": redis_server.url}
    local = await start_local(
        taskqueue("spoilt", broker=here, scaling={"minReplicas": 1}),
        taskqueue("work", broker=here),
    )

    task = counted.publish(redis_server.url, "nap", 0.1, queue="work")

    await until(lambda: counted.each_ran_once([task]))
    status = local.journal.statuses["default/spoilt"]
    assert status.waiting is None
    assert status.workers.asked == 1
    condition = status.condition(DEMAND_KNOWN)
    assert (condition.status, condition.reason) == ("False", "QueueUnknown")
    assert "spoilt" in condition.message


async def test_a_fleet_whose_workers_use_another_database_is_told_so_and_never_shrinks(
    redis_server: Any, start_local: Any, taskqueue: Any, counted: Any, seen: Any
) -> None:
    """The database that is read becomes empty; that is no reason to go to zero."""
    local = await start_local(
        taskqueue("work", broker={"url": redis_server.url}, scaling={"maxReplicas": 1}),
        env={"COUNTED_OTHER_BROKER": redis_server.url_of(5)},
        up_after_s=1.0,
    )
    counted.publish(redis_server.url, "nap", 0.1, queue="work")
    await seen(local, lambda now: now[FLEET].condition(DEMAND_KNOWN).reason == "BrokerMismatch")
    told_at = local.journal.statuses[FLEET].at

    redis_server.client().delete("work")

    # The cooldown of a fleet that is known to be idle would end after one second.
    await seen(local, lambda now: now[FLEET].at > told_at + 5)
    status = local.journal.statuses[FLEET]
    assert status.queues[0].length == 0
    assert status.condition(DEMAND_KNOWN).reason == "BrokerMismatch"
    assert (status.waiting, status.workers.asked, local.running()) == (None, 1, 1)


async def test_a_worker_whose_asker_is_gone_for_good_consumes_again(
    redis_server: Any, start_local: Any, taskqueue: Any, counted: Any, until: Any, seen: Any
) -> None:
    """A drain lease that nobody renews ends by itself, and is recalled by whoever leads."""
    local = await start_local(
        taskqueue("work", broker={"url": redis_server.url}, scaling={"minReplicas": 1})
    )
    await seen(local, lambda now: now[FLEET].workers.ready == 1)
    client = redis_server.client()
    (incarnation,) = client.smembers("sluiceway:workers")

    client.set(f"sluiceway:drain:{incarnation.decode()}", "an asker of before", px=15_000)

    task = counted.publish(redis_server.url, "nap", 0.1, queue="work")
    await until(lambda: counted.each_ran_once([task]))
    await until(lambda: client.exists(f"sluiceway:drain:{incarnation.decode()}") == 0)

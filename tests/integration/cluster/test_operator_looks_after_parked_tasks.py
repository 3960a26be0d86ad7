"""What workers parked: a fleet rests beside it, is started for it, and leaves none behind."""

from __future__ import annotations

import asyncio
import time

from sluiceway_worker import parked, wire
from tests.integration.cluster.conftest import InCluster, StartOperator

MESSAGE = b'{"body": "", "headers": {"id": "x", "task": "shop.work"}, "properties": {}}'


def park(in_cluster: InCluster, eta: float) -> None:
    """Park a message as a worker of «exports» does."""
    client = in_cluster.broker.client()
    client.hset("unacked", "w:1", b"[" + MESSAGE + b', "", "exports"]')
    client.set("stands-by", "")
    lists, bodies, _, registry = parked.keys_of("", "exports")
    keys = ["unacked", "unacked_index", "held", lists, bodies, registry, "stands-by"]
    args = ["w:1", "", "", len(', "", "exports"]'), "", eta, "exports"]
    assert client.eval(parked.PARK, len(keys), *keys, *args) == parked.PARKED


async def test_it_is_scheduled_and_goes_back_to_its_queue_when_the_taskqueue_goes(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    park(in_cluster, time.time() + 7200)
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    found = await in_cluster.until(
        "taskqueue", "exports", lambda one: (one or {}).get("status", {}).get("scheduled") == 1
    )
    assert "1 parked, the first due at" in found["status"]["message"]
    await in_cluster.replicas("exports-worker", 0)
    client = in_cluster.broker.client()
    key = wire.parking_key("", f"{in_cluster.name}/exports")
    client.set(key, "")

    await in_cluster.run("delete", "taskqueue", "exports")

    async with asyncio.timeout(120):  # only reached by a hang
        while client.lrange("exports", 0, -1) != [MESSAGE]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert not client.keys("*sluiceway:park*")


async def test_the_fleet_is_started_before_it_is_due_and_it_comes_back_though_no_worker_does(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    due = time.time() + 45
    park(in_cluster, due)

    client = in_cluster.broker.client()
    await in_cluster.replicas("exports-worker", 1)
    assert client.exists(wire.parked_key("", "exports")) or time.time() >= due
    key = wire.parking_key("", f"{in_cluster.name}/exports")
    async with asyncio.timeout(120):
        while not (client.exists(key) and client.llen("exports")):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert time.time() >= due
    assert client.lrange("exports", 0, -1) == [MESSAGE]


async def test_a_dry_run_neither_brings_back_nor_says_that_it_stands_by(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    real = await start_operator()
    worked = in_cluster.taskqueue("exports", scaling={"minReplicas": 1, "maxReplicas": 2})
    await in_cluster.apply(worked)
    await in_cluster.replicas("exports-worker", 1)
    await real.stop()
    client = in_cluster.broker.client()
    client.delete(wire.parking_key("", f"{in_cluster.name}/exports"))
    park(in_cluster, 1.0)
    looked = client.info("commandstats")["cmdstat_time"]["calls"]

    dry = await start_operator(dry_run=True)
    async with asyncio.timeout(120):
        while client.info("commandstats")["cmdstat_time"]["calls"] < looked + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await dry.stop()

    assert client.zcard(wire.parked_key("", "exports")) == 1
    assert not client.exists(wire.parking_key("", f"{in_cluster.name}/exports"))

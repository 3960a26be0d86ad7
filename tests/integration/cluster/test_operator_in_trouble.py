"""What goes wrong around the operator: it waits, moves nobody meanwhile, and goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import yaml

from tests.integration.cluster.conftest import InCluster, StartOperator


async def test_it_outlives_an_api_server_that_goes_and_comes_back(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    await asyncio.to_thread(in_cluster.control_plane.stop_api_server)
    in_cluster.publish("exports", 100)
    await asyncio.to_thread(in_cluster.control_plane.start_api_server)
    await in_cluster.replicas("exports-worker", 20)
    await in_cluster.apply(in_cluster.taskqueue("emails"))
    await in_cluster.condition("emails", "Ready", "True")


async def test_the_second_replica_takes_over_at_once_when_the_first_stops_in_good_order(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    first = await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    await start_operator()
    await first.stop()
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)


async def test_a_new_leader_writes_to_a_fleet_before_it_moves_it(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    """So that a late write of the leader before does not fit any more."""
    first = await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    in_cluster.publish("exports", 10)
    await in_cluster.replicas("exports-worker", 2)
    await first.stop()
    await start_operator()
    found = await in_cluster.until(
        "deployment",
        "exports-worker",
        lambda one: "sluiceway.dev/epoch" in one["metadata"]["annotations"],
    )
    assert found["metadata"]["annotations"]["sluiceway.dev/epoch"] == "2"
    assert found["spec"]["replicas"] == 2


async def test_a_broker_that_is_away_leaves_the_fleet_as_it_is_and_says_so(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    in_cluster.publish("exports", 10)
    await in_cluster.replicas("exports-worker", 2)
    in_cluster.broker.stop()
    found = await in_cluster.until(
        "taskqueue", "exports", lambda tq: "nothing listens there" in str(tq)
    )
    assert "waiting" not in found["status"]
    assert found["status"]["replicas"] == 2
    in_cluster.broker.start()
    await in_cluster.condition("exports", "BrokerReachable", "True")
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)


async def test_definitions_that_come_after_the_operator_are_noticed(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    crds = Path(__file__).parents[3] / "manifests" / "crds"
    await in_cluster.run("delete", "-f", str(crds))
    await start_operator()
    await in_cluster.run("apply", "-f", str(crds))
    await in_cluster.run("wait", "--for=condition=Established", "-f", str(crds))
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")


async def test_what_was_applied_is_what_is_there_after_any_scaling(
    in_cluster: InCluster, start_operator: StartOperator, tmp_path: Path
) -> None:
    await start_operator()
    exports = in_cluster.taskqueue("exports")
    file = tmp_path / "queue.yaml"
    await asyncio.to_thread(file.write_text, yaml.safe_dump(exports))
    await in_cluster.run("apply", "-f", str(file))
    for number, replicas in ((10, 2), (90, 20)):
        in_cluster.publish("exports", number)
        await in_cluster.replicas("exports-worker", replicas)
    assert await in_cluster.run("diff", "-f", str(file)) == ""

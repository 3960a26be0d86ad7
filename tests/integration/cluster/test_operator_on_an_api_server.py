"""From `kubectl apply` to the number of workers, and back to nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.integration.cluster.conftest import InCluster, StartOperator


async def test_a_taskqueue_gets_a_deployment_of_its_own_without_a_worker(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    found = await in_cluster.until("deployment", "exports-worker", lambda one: one is not None)
    assert found["spec"]["replicas"] == 0
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("TaskQueue", "exports", True)


async def test_a_burst_is_answered_at_once_with_the_number_that_it_needs(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)


async def test_nothing_is_written_to_what_the_user_applied(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    in_cluster.publish("exports", 10)
    await in_cluster.replicas("exports-worker", 2)
    found = await in_cluster.get("taskqueue", "exports")
    assert found is not None
    assert found["metadata"]["generation"] == 1
    assert "finalizers" not in found["metadata"]
    assert list(found["metadata"]["annotations"]) == [
        "kubectl.kubernetes.io/last-applied-configuration"
    ]


async def test_a_new_image_reaches_the_deployment_and_the_number_stays(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    in_cluster.publish("exports", 10)
    await in_cluster.replicas("exports-worker", 2)
    newer = {"app": "shop.tasks", "image": "shop:2"}
    await in_cluster.apply(in_cluster.taskqueue("exports", worker=newer))
    found = await in_cluster.until(
        "deployment",
        "exports-worker",
        lambda one: one["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2",
    )
    assert found["spec"]["replicas"] == 2


async def test_a_deployment_that_somebody_edits_or_deletes_is_put_right(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    first = await in_cluster.until("deployment", "exports-worker", lambda one: one is not None)
    await in_cluster.condition("exports", "Ready", "True")
    await in_cluster.run("set", "image", "deployment/exports-worker", "worker=shop:hacked")
    await in_cluster.until(
        "deployment",
        "exports-worker",
        lambda one: one["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:1",
    )
    await in_cluster.run("delete", "deployment", "exports-worker")
    await in_cluster.until(
        "deployment",
        "exports-worker",
        lambda one: one is not None and one["metadata"]["uid"] != first["metadata"]["uid"],
    )


async def test_the_end_of_a_taskqueue_is_the_end_of_its_fleet_and_of_nothing_else(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"), in_cluster.taskqueue("emails"))
    for name in ("exports", "emails"):
        await in_cluster.condition(name, "Ready", "True")
    await in_cluster.run("delete", "taskqueue", "exports")
    await in_cluster.until("deployment", "exports-worker", lambda one: one is None)
    in_cluster.publish("emails", 10)
    await in_cluster.replicas("emails-worker", 2)


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    in_cluster: InCluster, start_operator: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    real = await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    await real.stop()
    before = await in_cluster.get("taskqueue", "exports")

    caplog.set_level(logging.INFO)
    await start_operator(dry_run=True)
    in_cluster.publish("exports", 100)
    async with asyncio.timeout(60):
        while "0 → 20 workers asked for" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await in_cluster.get("taskqueue", "exports") == before
    await in_cluster.replicas("exports-worker", 0)

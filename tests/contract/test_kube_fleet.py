"""A fleet's workers and troubles, as a real Deployment controller and scheduler show them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

from sluiceway.kube.client import KubeClient
from sluiceway.kube.trouble import trouble
from sluiceway.kube.views import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    Deployment,
    Pod,
)
from sluiceway.kube.watch import Watch
from sluiceway.kube.workers import pods_of, replica_sets_of, rolling_out, running_workers

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: video}
spec:
  replicas: 2
  selector: {matchLabels: {app: video}}
  template:
    metadata: {labels: {app: video}}
    spec: {containers: [{name: worker, image: example.invalid/shop:1}]}
"""

QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: workers}
spec: {hard: {pods: "1"}}
"""


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - other processes cannot set an event of ours
            await asyncio.sleep(0.02)


class Fleet:
    """The Deployment `video`, seen through three watches."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.deployments: Watch[Deployment] = Watch(
            client, DEPLOYMENTS, changed=lambda before, now: None, namespaces=[namespace]
        )
        self.replica_sets = Watch(
            client, REPLICA_SETS, changed=lambda before, now: None, namespaces=[namespace]
        )
        self.all_pods: Watch[Pod] = Watch(
            client, PODS, changed=lambda before, now: None, namespaces=[namespace]
        )
        self._key = f"{namespace}/video"

    @property
    def there(self) -> bool:
        return self._key in self.deployments.objects

    @property
    def deployment(self) -> Deployment:
        return self.deployments.objects[self._key]

    @property
    def pods(self) -> tuple[Pod, ...]:
        sets = self.replica_sets.objects.values()
        return pods_of(self.deployment, sets, self.all_pods.objects.values())

    @property
    def rolling_out(self) -> bool:
        sets = self.replica_sets.objects.values()
        return rolling_out(self.deployment, replica_sets_of(self.deployment, sets))

    @property
    def trouble(self) -> str:
        return trouble(self.deployment, self.pods) or ""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        watches = (self.deployments, self.replica_sets, self.all_pods)
        tasks = [asyncio.create_task(watch.run()) for watch in watches]
        try:
            for watch in watches:
                await watch.until_fresh()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.fixture
async def fleet(control_plane: ControlPlane, namespace: Namespace) -> AsyncIterator[Fleet]:
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as client:
        fleet = Fleet(client, namespace.name)
        async with fleet.watched():
            yield fleet


async def apply(namespace: Namespace, manifest: str) -> None:
    await asyncio.to_thread(namespace.kubectl.apply, manifest)


async def test_a_deployments_pods_are_workers_and_say_that_no_node_takes_them(
    fleet: Fleet, namespace: Namespace
) -> None:
    await apply(namespace, DEPLOYMENT)
    await eventually(lambda: fleet.there and len(fleet.pods) == 2)
    workers = running_workers(fleet.pods)
    assert {worker.name for worker in workers} == {pod.metadata.name for pod in fleet.pods}
    assert all(worker.created_at > 1.7e9 for worker in workers)
    assert not any(worker.ready or worker.stopping for worker in workers)
    await eventually(lambda: "2 of 2 workers find no node: no nodes available" in fleet.trouble)
    await eventually(lambda: not fleet.rolling_out)


async def test_a_new_image_is_a_rollout_while_both_generations_have_pods(
    fleet: Fleet, namespace: Namespace
) -> None:
    await apply(namespace, DEPLOYMENT)
    await eventually(lambda: fleet.there and len(fleet.pods) == 2 and not fleet.rolling_out)
    await apply(namespace, DEPLOYMENT.replace("shop:1", "shop:2"))
    # Pods that never become ready: the rollout stays half done.
    await eventually(lambda: fleet.rolling_out and len(fleet.pods) == 3)
    # The controller counts in the status after it has made the pods.
    await eventually(
        lambda: (
            (fleet.deployment.status.replicas, fleet.deployment.status.updated_replicas) == (3, 1)
        )
    )


async def test_a_change_of_the_number_alone_is_no_rollout_once_it_was_looked_at(
    fleet: Fleet, namespace: Namespace
) -> None:
    await apply(namespace, DEPLOYMENT)
    await eventually(lambda: fleet.there and len(fleet.pods) == 2)
    await apply(namespace, DEPLOYMENT.replace("replicas: 2", "replicas: 4"))
    await eventually(lambda: len(fleet.pods) == 4 and not fleet.rolling_out)


async def test_a_quota_is_named_as_the_reason_why_no_more_workers_come(
    fleet: Fleet, namespace: Namespace
) -> None:
    await apply(namespace, QUOTA)
    await apply(namespace, DEPLOYMENT)
    await eventually(lambda: fleet.there and "exceeded quota: workers" in fleet.trouble)
    assert fleet.trouble.startswith("no further worker can be made: ")


async def test_a_deletion_cost_that_was_written_is_seen(fleet: Fleet, namespace: Namespace) -> None:
    await apply(namespace, DEPLOYMENT)
    await eventually(lambda: fleet.there and len(fleet.pods) == 2)
    name = fleet.pods[0].metadata.name
    annotations = {"controller.kubernetes.io/pod-deletion-cost": "-100", "of-others": "x" * 1000}
    patch = json.dumps({"metadata": {"annotations": annotations}})
    await asyncio.to_thread(
        namespace.kubectl.run, "patch", "pod", name, "--type=merge", f"--patch={patch}"
    )
    await eventually(
        lambda: "-100" in [pod.metadata.annotations.deletion_cost for pod in fleet.pods]
    )

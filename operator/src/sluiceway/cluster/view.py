"""What the cluster looks like: Deployments, autoscalers, and the pods of fleets.

Kept true by watches for as long as the process lives, also while another replica leads:
a new leader acts at once. Whether it may be acted on is asked of ``problem``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sluiceway.cluster.pods import FollowedPods
from sluiceway.kube.client import KubeClient
from sluiceway.kube.nodes import Nodes
from sluiceway.kube.views import AUTOSCALERS, DEPLOYMENTS, Autoscaler, Deployment
from sluiceway.kube.watch import Watch
from sluiceway.workload.deployment import LABEL_TASKQUEUE


class ClusterView:
    """The watches that all fleets share."""

    def __init__(self, client: KubeClient, *, namespaces: Sequence[str]) -> None:
        """Nothing is seen before ``run``.

        Args:
            namespaces: empty for all.
        """
        self.deployments: Watch[Deployment] = Watch(
            client, DEPLOYMENTS, changed=self._deployment, namespaces=namespaces
        )
        self.autoscalers: Watch[Autoscaler] = Watch(
            client, AUTOSCALERS, changed=self._autoscaler, namespaces=namespaces
        )
        self.nodes = Nodes(client)
        """Not among ``watches``: it may be that they must not be seen."""
        self.pods = FollowedPods(
            client,
            namespaces=namespaces,
            selector=LABEL_TASKQUEUE,
            changed=self._pods,
            lost=self.nodes.lost,
        )
        self.on_deployment: Callable[[Deployment | None, Deployment | None], None] = _nobody
        self.on_autoscaler: Callable[[str], None] = _nobody
        """Told the namespace."""
        self.on_pods: Callable[[str], None] = _nobody
        """Told the TaskQueue's key."""

    async def run(self) -> None:
        """Keep it true until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.deployments.run())
            tasks.create_task(self.autoscalers.run())
            tasks.create_task(self.pods.run())
            tasks.create_task(self.nodes.run())

    @property
    def by_resource(self) -> dict[str, Watch[Any]]:
        """All of them, by what they watch."""
        pods, replica_sets = self.pods.watches
        return {
            "deployments": self.deployments,
            "horizontalpodautoscalers": self.autoscalers,
            "pods": pods,
            "replicasets": replica_sets,
        }

    @property
    def watches(self) -> tuple[Watch[Any], ...]:
        """All of them."""
        return tuple(self.by_resource.values())

    async def until_fresh(self) -> None:
        """Return once decisions may rest on all of it."""
        for watch in self.watches:
            await watch.until_fresh()

    @property
    def problem(self) -> str | None:
        """Why nothing may be changed on the strength of it, as a sentence."""
        return stale(self.watches)

    def autoscaler_of(self, deployment: Deployment) -> str | None:
        """The name of an autoscaler that scales this Deployment."""
        meta = deployment.metadata
        for one in self.autoscalers.objects.values():
            target = one.spec.scale_target_ref
            if one.metadata.namespace == meta.namespace and (target.kind, target.name) == (
                "Deployment",
                meta.name,
            ):
                return one.metadata.name
        return None

    def _deployment(self, before: Deployment | None, now: Deployment | None) -> None:
        self.on_deployment(before, now)

    def _autoscaler(self, before: Autoscaler | None, now: Autoscaler | None) -> None:
        one = now or before
        assert one is not None
        self.on_autoscaler(one.metadata.namespace)

    def _pods(self, namespace: str, label: str) -> None:
        self.on_pods(f"{namespace}/{label}")


def stale(watches: Sequence[Watch[Any]]) -> str | None:
    """Why what these watches show may not be acted on; None while it may."""
    for watch in watches:
        if not watch.fresh:
            return watch.problem or "the cluster has not been seen yet"
    return None


def _nobody(*_: object) -> None:
    """Nobody acts: another replica leads."""

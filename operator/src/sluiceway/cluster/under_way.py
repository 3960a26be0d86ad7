"""The fleets under way: those that are ticked, each by the loop of its broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sluiceway.act.deployments import Deployments
from sluiceway.cluster.fleet import DeploymentFleet
from sluiceway.cluster.loops import BrokerLoops
from sluiceway.cluster.pods import FollowedPods, selector_text
from sluiceway.cluster.settle import Settled
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.view import ClusterView
from sluiceway.kube.client import KubeClient
from sluiceway.observe import Watched

SECOND_LOOK_S = 0.05
"""After its first look a new fleet is looked at again: what arrives can be told from then on,
and its first status waits for that."""


@dataclass(kw_only=True, slots=True)
class _Held:
    """A fleet under way."""

    settled: Settled
    fleet: DeploymentFleet
    following: asyncio.Task[None] | None
    """Where the pods have a watch of their own."""
    selector: str


class UnderWay:
    """Those of one term."""

    def __init__(
        self,
        *,
        client: KubeClient,
        specs: Specs,
        view: ClusterView,
        write: Deployments,
        loops_of: Callable[[asyncio.TaskGroup], BrokerLoops],
        went_otherwise: Callable[[str, int], None],
    ) -> None:
        """None yet.

        Args:
            went_otherwise: told that Kubernetes removed so many pods of a fleet in place
                of those asked for.
        """
        self._client = client
        self._specs = specs
        self._view = view
        self._write = write
        self._loops_of = loops_of
        self._went_otherwise = went_otherwise
        self._held: dict[str, _Held] = {}
        self._tasks: asyncio.TaskGroup
        self._loops: BrokerLoops

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """From now on fleets may be taken up; all that goes on for them runs in ``tasks``."""
        self._tasks = tasks
        self._loops = self._loops_of(tasks)

    async def close(self) -> None:
        """Hang up on all brokers; the tasks have ended."""
        await self._loops.close()

    def settled(self, key: str) -> Settled | None:
        """How a fleet was settled that is under way; None where it is not."""
        held = self._held.get(key)
        return held.settled if held is not None else None

    def with_sources(self) -> set[str]:
        """Those whose broker's address, or what else it takes, was read in the cluster."""
        return {key for key, held in self._held.items() if held.settled.sources}

    def warnings_of(self, key: str) -> tuple[str, ...]:
        """What the platform team should mend at this fleet's broker."""
        held = self._held.get(key)
        return self._loops.warnings(held.fleet.watched.address) if held is not None else ()

    async def take_up(self, key: str, spec: Spec, settled: Settled, watched: Watched) -> None:
        """Let the fleet be ticked as it is written now."""
        before = self._held.get(key)
        worker, selector = watched.taskqueue.spec.worker, ""
        if worker.deployment_ref is not None:
            there = self._view.deployments.objects.get(settled.deployment)
            if there is None:
                return  # it has just gone, and that is settled, too
            selector = selector_text(there)
        if before is not None and (before.settled, before.selector) == (settled, selector):
            return
        pods, following = self._view.pods, None
        owner: str | None = spec.uid
        label = spec.name
        hints = worker.agent != "none"
        if worker.deployment_ref is not None:
            hints, label, owner = worker.deployment_ref.pod_hints, "", None
            if before is not None and before.following is not None and before.selector == selector:
                pods, following = before.fleet.pods, before.following
            else:
                pods = FollowedPods(
                    self._client,
                    namespaces=[spec.namespace],
                    selector=selector,
                    changed=lambda _namespace, _label: self.tick(key),
                    lost=self._view.nodes.lost,
                )
                following = self._tasks.create_task(pods.run())
        fleet = DeploymentFleet(
            watched,
            deployment=settled.deployment,
            owner=owner,
            label=label,
            hints=hints,
            deployments=self._view.deployments,
            pods=pods,
            write=self._write,
            went_otherwise=lambda count: self._went_otherwise(key, count),
        )
        if before is not None:
            fleet.take_over(before.fleet)
            if before.following is not None and before.following is not following:
                before.following.cancel()
        self._held[key] = _Held(
            settled=settled, fleet=fleet, following=following, selector=selector
        )
        self._loops.put(fleet)
        if before is None and self._specs.is_new(key):
            asyncio.get_running_loop().call_later(SECOND_LOOK_S, self.tick, key)
        if before is not None and before.fleet.watched.address != watched.address:
            left = before.fleet.watched
            await self._loops.drop(key, left.address, gone=left)

    async def let_be(self, key: str, *, gone: bool = False) -> None:
        """Tick the fleet no more; its workers stay as they are, unless its TaskQueue is gone."""
        held = self._held.get(key)
        if held is None:
            return
        del self._held[key]
        if held.following is not None:
            held.following.cancel()
        watched = held.fleet.watched
        await self._loops.drop(key, watched.address, gone=watched if gone else None)

    def tick(self, key: str) -> None:
        """Something about this fleet changed: tick it at once."""
        if (held := self._held.get(key)) is not None:
            self._loops.touch(key, held.fleet.watched.address)

"""From a changed Deployment or autoscaler to the TaskQueues that it concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

from sluiceway.cluster.settle import Settled, Settler
from sluiceway.cluster.specs import Spec, Specs
from sluiceway.cluster.under_way import UnderWay
from sluiceway.kube.views import Deployment


class Changes:
    """Has fleets ticked, and TaskQueues settled anew, for what the watches tell."""

    def __init__(
        self,
        *,
        specs: Specs,
        settler: Settler,
        under_way: UnderWay,
        touch: Callable[[Collection[str]], None],
    ) -> None:
        """Nothing concerns anybody yet.

        Args:
            touch: has TaskQueues settled anew.
        """
        self._specs = specs
        self._settler = settler
        self._under_way = under_way
        self._touch = touch
        self._by_deployment: defaultdict[str, set[str]] = defaultdict(set)
        """Deployment → the TaskQueues that are settled anew when it changes."""
        self._uses: dict[str, frozenset[str]] = {}

    def settled(self, spec: Spec, settled: Settled) -> None:
        """Those Deployments concern a TaskQueue from now on that it was settled with."""
        self._use(spec.key, _used_by(spec, settled))

    def forget(self, key: str) -> None:
        """A TaskQueue is gone: nothing concerns it any more."""
        self._use(key, frozenset())

    def deployment(self, before: Deployment | None, now: Deployment | None) -> None:
        """One has come, changed or gone."""
        one = now or before
        assert one is not None
        concerned = self._by_deployment.get(one.metadata.key, ())
        if not concerned:
            return
        if before is None or now is None or _has_workers(before) or _has_workers(now):
            for key in concerned:
                self._under_way.tick(key)
        if now is None:
            self._settler.vanished.add(one.metadata.key)
        elif before is None:
            self._settler.vanished.discard(one.metadata.key)
        if before is None or now is None:
            self._touch(concerned)
        elif before.metadata.generation != now.metadata.generation:
            if _was_changed(before, now):
                self._settler.drifted.add(one.metadata.key)
                self._touch(concerned)
            else:
                # A new number says nothing to its own fleet; to those that follow it, the
                # same update may have brought a new image.
                self._touch({key for key in concerned if not self._scales(key, now)})

    def autoscalers(self, namespace: str) -> None:
        """Some of this namespace have come, changed or gone."""
        self._touch(
            {
                key
                for key, spec in self._specs.taskqueues.items()
                if spec.namespace == namespace
                and spec.taskqueue is not None
                and spec.taskqueue.spec.worker.deployment_ref is not None
            }
        )

    def _scales(self, key: str, deployment: Deployment) -> bool:
        settled = self._under_way.settled(key)
        return settled is not None and settled.deployment == deployment.metadata.key

    def _use(self, key: str, deployments: frozenset[str]) -> None:
        for one in self._uses.pop(key, frozenset()) - deployments:
            self._by_deployment[one].discard(key)
            if not self._by_deployment[one]:
                del self._by_deployment[one]
        for one in deployments:
            self._by_deployment[one].add(key)
        if deployments:
            self._uses[key] = deployments


def _used_by(spec: Spec, settled: Settled) -> frozenset[str]:
    """The Deployments that it is made with: its own, and the one it takes after."""
    used = {settled.deployment} if settled.deployment else set()
    worker = spec.taskqueue.spec.worker if spec.taskqueue is not None else None
    if worker is not None and worker.like is not None:
        used.add(f"{spec.namespace}/{worker.like.name}")
    if worker is not None and worker.deployment_ref is not None:
        used.add(f"{spec.namespace}/{worker.deployment_ref.name}")
    return frozenset(used)


def _was_changed(before: Deployment, now: Deployment) -> bool:
    """Whether of two generations more than the number changed, and not by an apply of ours."""
    return (
        before.spec.replicas == now.spec.replicas
        and before.metadata.annotations == now.metadata.annotations
    )


def _has_workers(one: Deployment) -> bool:
    """Whether its status says anything of workers: a new Deployment's changes several times,
    without any."""
    return one.spec.replicas > 0 or one.status.replicas > 0

"""The ReplicaSets and pods of fleets, by the fleet that they belong to.

Our own pods bear a label, and one watch sees those of all fleets. The pods of a
Deployment that a team brought along bear whatever labels they bear: each such
Deployment is followed by its own selector.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from sluiceway.broker.holders import Cause, End
from sluiceway.cluster.remembered import Remembered
from sluiceway.kube.client import KubeClient
from sluiceway.kube.ends import ends_of, runs
from sluiceway.kube.views import (
    PODS,
    REPLICA_SETS,
    Deployment,
    Pod,
    ReplicaSet,
    Requirement,
)
from sluiceway.kube.watch import Watch
from sluiceway.kube.workers import pods_of, replica_sets_of
from sluiceway.workload.deployment import LABEL_TASKQUEUE

V = TypeVar("V", ReplicaSet, Pod)

REMEMBERED_S = 3600.0
"""For so long an end is remembered though its pod is gone. Who is silent for longer is taken
to be dead without it."""


class FollowedPods:
    """Pods and ReplicaSets that a selector selects, in buckets for a quick look."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespaces: Sequence[str],
        selector: str,
        changed: Callable[[str, str], None],
        lost: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Nothing is seen before ``run``.

        Args:
            namespaces: empty for all.
            selector: a label selector.
            changed: told the namespace, and the value of our label (empty without),
                whenever something changed.
            lost: why what ran on a node has ended; None: it may run on.
        """
        self._changed = changed
        self._lost = lost
        self._ends: Remembered[tuple[str, float | None], End] = Remembered(REMEMBERED_S)
        """Ends that were seen: a pod that is on its way out takes the kubelet's word along."""
        self._left: Remembered[str, str] = Remembered(REMEMBERED_S)
        """Where pods were whose objects are gone, which proves nothing: name → node."""
        self._pods: defaultdict[tuple[str, str], dict[str, Pod]] = defaultdict(dict)
        self._sets: defaultdict[tuple[str, str], dict[str, ReplicaSet]] = defaultdict(dict)
        self.watches: tuple[Watch[Pod], Watch[ReplicaSet]] = (
            Watch(client, PODS, changed=self._pod, namespaces=namespaces, selector=selector),
            Watch(
                client,
                REPLICA_SETS,
                changed=self._replica_set,
                namespaces=namespaces,
                selector=selector,
            ),
        )

    async def run(self) -> None:
        """Follow them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for watch in self.watches:
                tasks.create_task(watch.run())

    def of(
        self, deployment: Deployment, label: str
    ) -> tuple[tuple[ReplicaSet, ...], tuple[Pod, ...]]:
        """A Deployment's ReplicaSets and pods.

        Args:
            label: the value of our label that they bear; empty where they bear none.
        """
        bucket = (deployment.metadata.namespace, label)
        sets = self._sets.get(bucket, {}).values()
        pods = self._pods.get(bucket, {}).values()
        return replica_sets_of(deployment, sets), pods_of(deployment, sets, pods)

    def ends(self, namespace: str, label: str) -> tuple[End, ...]:
        """The workers that have ended for certain, by the kubelet's word or with their node.

        Args:
            label: the value of our label that their pods bear; empty where they bear none.
        """
        bucket = (namespace, label)
        pods, ends, left = self._pods.get(bucket, {}), self._ends.of(bucket), self._left.of(bucket)
        if not (pods or ends or left):
            return ()
        running = {name for name, pod in pods.items() if runs(pod)}
        told = [replace(end, if_silent=end.worker in running) for end in ends.values()]
        where = {**left, **{name: pod.spec.node_name for name, pod in pods.items()}}
        why = {node: self._lost(node) for node in set(where.values())}
        lost = [
            End(worker=name, cause=Cause.NODE, reason=reason, if_silent=True)
            for name, node in where.items()
            if (reason := why[node]) is not None
        ]
        return (*told, *lost)

    def _note_ends(self, pod: Pod) -> None:
        now, bucket = time.monotonic(), _bucket(pod)
        for end in ends_of(pod):
            which = (end.worker, end.before)
            # What was said first stays: a pod may be told to go after it crashed.
            if which not in self._ends.of(bucket):
                self._ends.note(bucket, which, end, now)
        self._ends.forget_old(now)

    def _note_left(self, pod: Pod) -> None:
        now = time.monotonic()
        if pod.spec.node_name:
            self._left.note(_bucket(pod), pod.metadata.name, pod.spec.node_name, now)
        self._left.forget_old(now)

    def _pod(self, before: Pod | None, now: Pod | None) -> None:
        if now is not None:
            self._note_ends(now)
        elif before is not None:
            self._note_left(before)
        self._sort_in(self._pods, before, now)

    def _replica_set(self, before: ReplicaSet | None, now: ReplicaSet | None) -> None:
        # Each new Deployment brings one without pods: that is no news of any worker.
        is_news = any(one is not None and _has_workers(one) for one in (before, now))
        self._sort_in(self._sets, before, now, is_news=is_news)

    def _sort_in(
        self,
        buckets: dict[tuple[str, str], dict[str, V]],
        before: V | None,
        now: V | None,
        *,
        is_news: bool = True,
    ) -> None:
        touched = set()
        if before is not None:
            bucket = _bucket(before)
            touched.add(bucket)
            buckets[bucket].pop(before.metadata.name, None)
            if not buckets[bucket]:
                del buckets[bucket]
        if now is not None:
            bucket = _bucket(now)
            touched.add(bucket)
            buckets[bucket][now.metadata.name] = now
        if is_news:
            for namespace, label in touched:
                self._changed(namespace, label)


def _has_workers(one: ReplicaSet) -> bool:
    return one.spec.replicas > 0 or one.status.replicas > 0


def _bucket(obj: ReplicaSet | Pod) -> tuple[str, str]:
    meta = obj.metadata
    return meta.namespace, meta.labels.get(LABEL_TASKQUEUE, "")


def selector_text(deployment: Deployment) -> str:
    """The selector of a Deployment's pods, as a query writes it."""
    selector = deployment.spec.selector
    pairs = [f"{name}={value}" for name, value in sorted(selector.match_labels.items())]
    return ",".join([*pairs, *map(_requirement, selector.match_expressions)])


def _requirement(one: Requirement) -> str:
    match one.operator:
        case "Exists":
            return one.key
        case "DoesNotExist":
            return f"!{one.key}"
        case operator:
            return f"{one.key} {operator.lower()} ({','.join(one.values)})"

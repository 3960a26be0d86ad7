"""Which pods are a fleet's workers, and whether its generations are changing. Pure.

Deployments, ReplicaSets and pods are three watches, and none waits for another: a
pod may be seen before the ReplicaSet that made it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from sluiceway.kube.views import Deployment, Pod, ReplicaSet
from sluiceway.observe import RunningWorker


def replica_sets_of(
    deployment: Deployment, replica_sets: Iterable[ReplicaSet]
) -> tuple[ReplicaSet, ...]:
    """The generations of a Deployment, those that are empty included."""
    return tuple(
        one
        for one in replica_sets
        if (owner := one.metadata.controller) is not None and owner.uid == deployment.metadata.uid
    )


def pods_of(
    deployment: Deployment, replica_sets: Iterable[ReplicaSet], pods: Iterable[Pod]
) -> tuple[Pod, ...]:
    """The pods of a Deployment, those that are stopping included.

    Args:
        replica_sets: all of the Deployment's namespace.
        pods: all of its namespace, or those that its selector selects. A pod whose
            ReplicaSet is not known is taken by the selector: its ReplicaSet has not been
            seen yet, or was removed while the pod finishes its last task.
    """
    known = {one.metadata.uid: one for one in replica_sets}
    ours = {one.metadata.uid for one in replica_sets_of(deployment, known.values())}
    selected = deployment.spec.selector.match_labels.items()
    found = []
    for pod in pods:
        owner = pod.metadata.controller
        if owner is None or pod.metadata.namespace != deployment.metadata.namespace:
            continue
        if owner.uid in ours or (
            owner.kind == "ReplicaSet"
            and owner.uid not in known
            and selected <= pod.metadata.labels.items()
        ):
            found.append(pod)
    return tuple(found)


def running_workers(
    pods: Iterable[Pod], hindered: Container[str] = ()
) -> tuple[RunningWorker, ...]:
    """A fleet's pods as observe wants to know of them, the oldest first.

    Args:
        hindered: the names of those that something once kept from working: how long they
            took is no measure of a start.

    A pod that has ended for good (evicted, or its node is gone) is no worker any more,
    however long its object stays.
    """
    workers = (
        RunningWorker(
            name=pod.metadata.name,
            created_at=pod.metadata.creation_timestamp.timestamp(),
            ready=pod.ready,
            stopping=pod.stopping,
            start_counts=pod.metadata.name not in hindered and not _has_restarted(pod),
        )
        for pod in pods
        if not pod.finished
    )
    return tuple(sorted(workers, key=lambda worker: (worker.created_at, worker.name)))


def _has_restarted(pod: Pod) -> bool:
    return any(one.restart_count > 0 for one in pod.status.container_statuses)


def rolling_out(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> bool:
    """Whether workers of more than one generation exist, or are about to.

    A change that the Deployment controller has not looked at yet may be a new
    generation. Pods that were told to go do not count: a finished rollout would else
    last as long as the longest task.

    Args:
        replica_sets: the Deployment's own.
    """
    if deployment.status.observed_generation < deployment.metadata.generation:
        return True
    return several_generations(replica_sets)


def several_generations(replica_sets: Iterable[ReplicaSet]) -> bool:
    """Whether more than one of a Deployment's ReplicaSets has pods, or is to have some."""
    peopled = (one for one in replica_sets if max(one.spec.replicas, one.status.replicas) > 0)
    return sum(1 for _ in peopled) > 1

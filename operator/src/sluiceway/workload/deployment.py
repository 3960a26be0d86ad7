"""The Deployment of a TaskQueue's workers, for server-side apply.

How many replicas it has is not said here: that is written through the scale
subresource, so that an apply never undoes a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluiceway.api.taskqueue import GROUP, TaskQueue
from sluiceway.api.workerclass import WorkerClass, WorkerClassSpec
from sluiceway.workload import agent, security
from sluiceway.workload.command import command
from sluiceway.workload.environment import variables
from sluiceway.workload.like import Taken
from sluiceway.workload.merge import by_key, laid_over
from sluiceway.workload.slots import WORKER, resources_of, slots_of

FIELD_MANAGER = "sluiceway"
"""Who applies it. Tools that shall not mind our fields know us by this name."""

SETTLING_S = 10
"""More than most workers need from their start until they consume."""

LABEL_TASKQUEUE = f"{GROUP}/taskqueue"
LABEL_CLASS = f"{GROUP}/workerclass"

_LABEL_LENGTH = 63
"""Kubernetes' limit for a label's value; a name may be longer."""

Manifest = dict[str, Any]


def name_of(taskqueue: TaskQueue) -> str:
    """The Deployment's name, apart from that of a web which is called as the queue is."""
    return f"{taskqueue.metadata.name}-worker"


def selector_of(taskqueue: TaskQueue) -> dict[str, str]:
    """The labels by which the fleet's pods are found. They can never change."""
    return {LABEL_TASKQUEUE: taskqueue.metadata.name}


def deployment(
    taskqueue: TaskQueue,
    *,
    workerclass: WorkerClass | None,
    agent_image: str,
    taken: Taken | None = None,
) -> Manifest:
    """The manifest of the fleet's Deployment, complete but for ``spec.replicas``.

    Args:
        taskqueue: valid, as the API server has it, with an ``app``.
        workerclass: what ``class_of`` chose.
        agent_image: the image that holds launcher and agent below ``/agent``.
        taken: what ``take_after`` read, where ``worker.like`` is given.

    Raises:
        ValueError: the TaskQueue has no uid, so that nothing could own the Deployment.
    """
    meta = taskqueue.metadata
    if meta.uid is None:
        raise ValueError(f"{taskqueue.key} has no uid: it is not from an API server")
    labels = _labels(taskqueue)
    class_label = _class_label(workerclass)
    # Who is not asked by a probe is taken to consume after this time.
    settling = {} if taskqueue.spec.worker.agent == "inject" else {"minReadySeconds": SETTLING_S}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name_of(taskqueue),
            "namespace": meta.namespace,
            "labels": {**labels, **class_label},
            "ownerReferences": [
                {
                    "apiVersion": taskqueue.api_version,
                    "kind": taskqueue.kind,
                    "name": meta.name,
                    "uid": meta.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "selector": {"matchLabels": selector_of(taskqueue)},
            # A rollout adds workers first and takes the old ones when the new ones consume.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"},
            },
            **settling,
            "template": _template(taskqueue, workerclass, agent_image, taken, labels),
        },
    }


def _template(
    taskqueue: TaskQueue,
    workerclass: WorkerClass | None,
    agent_image: str,
    taken: Taken | None,
    labels: Mapping[str, str],
) -> Manifest:
    """Generated, then what ``like`` brings, then the user's own template over both."""
    like = taken or Taken(container={})
    generated = {
        "metadata": {"labels": dict(labels)},
        "spec": _pod(taskqueue, workerclass, agent_image, like),
    }
    merged = laid_over(generated, taskqueue.spec.worker.template)
    own = merged["metadata"].get("labels", {})
    merged["metadata"] = {**merged["metadata"], "labels": {**own, **selector_of(taskqueue)}}
    return merged


def _pod(
    taskqueue: TaskQueue, workerclass: WorkerClass | None, agent_image: str, like: Taken
) -> Manifest:
    worker = taskqueue.spec.worker
    taken = dict(like.pod)
    volumes = taken.pop("volumes", [])
    user = taken.pop("securityContext", {})
    pod: Manifest = {
        "terminationGracePeriodSeconds": _whole(worker.grace_s),
        "automountServiceAccountToken": False,
        "securityContext": {**security.of_pod(), **user},
        "containers": [_worker(taskqueue, workerclass, like)],
        "volumes": [*volumes, {"name": security.TMP_VOLUME, "emptyDir": {}}],
        **(_placement(workerclass.spec) if workerclass is not None else {}),
        **taken,
    }
    if worker.agent == "inject":
        pod["volumes"].append({"name": agent.VOLUME, "emptyDir": {}})
        pod["initContainers"] = [agent.carrier(agent_image, security.of_container())]
    return pod


def _worker(taskqueue: TaskQueue, workerclass: WorkerClass | None, like: Taken) -> Manifest:
    worker = taskqueue.spec.worker
    taken = dict(like.container)
    mounts: list[Manifest] = [{"name": security.TMP_VOLUME, "mountPath": security.TMP}]
    probes: Manifest = {}
    if worker.agent == "inject":
        mounts.append({"name": agent.VOLUME, "mountPath": agent.MOUNT, "readOnly": True})
        probes = agent.probes()
    container: Manifest = {
        "name": WORKER,
        "image": worker.image,
        "command": command(taskqueue, slots_of(taskqueue, workerclass)),
        "resources": dict(resources_of(taskqueue, workerclass)),
        "securityContext": {**security.of_container(), **taken.pop("securityContext", {})},
        # What is followed says where its own /tmp is; the rest is ours to say.
        "env": by_key("name")(taken.pop("env", []), variables(taskqueue)),
        "volumeMounts": by_key("mountPath")(mounts, taken.pop("volumeMounts", [])),
        **probes,
        **taken,
    }
    return container


def _placement(spec: WorkerClassSpec) -> Manifest:
    """Where the class puts its workers, in a pod's own words."""
    placement = {
        "nodeSelector": dict(spec.node_selector),
        "affinity": spec.affinity.to_outside() if spec.affinity is not None else None,
        "tolerations": [one.to_outside() for one in spec.tolerations],
        "priorityClassName": spec.priority_class_name,
        "runtimeClassName": spec.runtime_class_name,
    }
    return {name: value for name, value in placement.items() if value}


def _labels(taskqueue: TaskQueue) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "celery-worker",
        "app.kubernetes.io/instance": taskqueue.metadata.name,
        "app.kubernetes.io/component": WORKER,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        **selector_of(taskqueue),
    }


def _class_label(workerclass: WorkerClass | None) -> dict[str, str]:
    """On the Deployment only: another class with the same nodes need not restart workers."""
    if workerclass is None or len(workerclass.metadata.name) > _LABEL_LENGTH:
        return {}
    return {LABEL_CLASS: workerclass.metadata.name}


def _whole(seconds: float) -> int:
    """Started seconds count."""
    return -int(-seconds // 1)

"""Thousands of TaskQueues that have been served already, laid straight into etcd.

To have them all applied and served takes an API server on two busy cores an hour; what
they cost from then on can be measured without. One TaskQueue is served by the operator as
ever; the others are copies of it and of its Deployment with names of their own.
"""

from __future__ import annotations

import base64
import json
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

from benchmarks.scale_world import QUEUES, ControlPlane, name_of
from sluiceway.act.deployments import APPLIED, mark_of
from sluiceway.api.taskqueue import GROUP, TaskQueue
from sluiceway.api.validate import judge
from sluiceway.workload.deployment import deployment

_AT_ONCE = 100
"""Keys in one transaction; etcd takes 128."""


def clone(cluster: ControlPlane, agent_image: str, count: int) -> None:
    """Let there be ``count`` TaskQueues like the first, each with its Deployment."""
    kubectl = cluster.kubectl.within(QUEUES)
    taskqueue = kubectl.get("taskqueue", name_of(0))
    fleet = kubectl.get("deployment", f"{name_of(0)}-worker")
    puts: list[dict[str, Any]] = []
    for n in range(1, count):
        puts += _puts(taskqueue, fleet, name_of(n), agent_image)
        if len(puts) >= _AT_ONCE or n == count - 1:
            _commit(cluster, puts)
            puts = []


def _puts(
    taskqueue: dict[str, Any], fleet: dict[str, Any], name: str, agent_image: str
) -> Iterator[dict[str, Any]]:
    one, its_fleet = (_renamed(body, name) for body in (taskqueue, fleet))
    judged = judge(one, in_cluster=True).object
    assert isinstance(judged, TaskQueue)
    manifest = deployment(judged, workerclass=None, agent_image=agent_image, taken=None)
    its_fleet["metadata"]["annotations"][APPLIED] = mark_of(manifest)
    its_fleet["metadata"]["ownerReferences"][0]["uid"] = one["metadata"]["uid"]
    yield _put(f"/registry/{GROUP}/taskqueues/{QUEUES}/{name}", one)
    yield _put(f"/registry/deployments/{QUEUES}/{name}-worker", its_fleet)


def _renamed(body: dict[str, Any], name: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(body).replace(name_of(0), name))
    copy["metadata"]["uid"] = str(uuid.uuid4())
    del copy["metadata"]["resourceVersion"]
    return copy


def _put(key: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"request_put": {"key": _text(key), "value": _text(json.dumps(body))}}


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _commit(cluster: ControlPlane, puts: list[dict[str, Any]]) -> None:
    request = urllib.request.Request(
        f"{cluster.etcd_url}/v3/kv/txn",
        data=json.dumps({"success": puts}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["succeeded"]

"""The worker container's variables: who it is, and where its broker is.

The broker's address goes through the environment, never the command line, and Celery
prefers these variables to what the application sets, so that workers and the reader
of the queues are on the same broker.
"""

from __future__ import annotations

from typing import Any

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.workload.agent import ENV_PROBE_PORT, PROBE_PORT
from sluiceway.workload.command import literal
from sluiceway_worker import wire
from sluiceway_worker.behind_sentinel import ENV_MASTER_NAME

ENV_POD_UID = "SLUICEWAY_POD_UID"
"""Tells this pod from a later one of the same name."""

_BROKER = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")


def variables(taskqueue: TaskQueue) -> list[dict[str, Any]]:
    """The container's ``env``, without what the template or ``like`` bring."""
    worker = taskqueue.spec.worker
    env: list[dict[str, Any]] = [
        {"name": wire.ENV_FLEET, "value": taskqueue.key},
        {"name": wire.ENV_NAME, **_of_pod("metadata.name")},
        {"name": ENV_POD_UID, **_of_pod("metadata.uid")},
    ]
    if worker.agent != "none":
        env.append({"name": wire.ENV_ACKS, "value": worker.acks_in_force})
        env.append({"name": wire.ENV_MAX_DELIVERIES, "value": str(worker.max_deliveries)})
        if (name := taskqueue.spec.broker.master_name) is not None:
            env.append({"name": ENV_MASTER_NAME, "value": literal(name)})
    if worker.agent == "inject":
        env.append({"name": ENV_PROBE_PORT, "value": str(PROBE_PORT)})
    source = _broker(taskqueue)
    return [*env, *({"name": name, **source} for name in _BROKER if source)]


def _broker(taskqueue: TaskQueue) -> dict[str, Any]:
    """What stands beside a variable's name; nothing where the pod has the address itself."""
    broker = taskqueue.spec.broker
    if broker.url is not None:
        return {"value": literal(broker.url)}
    source = broker.url_from
    if source is None:
        return {}
    for member, ref in (
        ("secretKeyRef", source.secret_key_ref),
        ("configMapKeyRef", source.config_map_key_ref),
    ):
        if ref is not None:
            return {"valueFrom": {member: {"name": ref.name, "key": ref.key}}}
    return {}


def _of_pod(path: str) -> dict[str, Any]:
    # The API server's default is written out, so that applying again changes nothing.
    return {"valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}

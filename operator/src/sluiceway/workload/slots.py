"""How many tasks one worker runs at a time, where the TaskQueue does not say.

Celery's own default is the node's number of cores, which a container with a limit
never gets: 64 processes on half a core run nothing in time and run out of memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING
from typing import Any

from sluiceway.api.quantity import is_quantity, parse_quantity
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass

WORKER = "worker"
"""The name of the worker's own container."""


def slots_of(taskqueue: TaskQueue, workerclass: WorkerClass | None) -> int:
    """The worker's ``-c``: as written, or one for each started CPU of its limit.

    Without a limit the request counts in its place, without either it is one. With
    pool solo it is one.
    """
    worker = taskqueue.spec.worker
    if worker.concurrency is not None:
        return worker.concurrency
    if worker.pool == "solo":
        return 1
    resources = resources_of(taskqueue, workerclass)
    for kind in ("limits", "requests"):
        cpu = (resources.get(kind) or {}).get("cpu")
        # YAML reads cpu: 0.5 in a template as a number, and Kubernetes takes it.
        if is_quantity(str(cpu)):
            return max(1, int(parse_quantity(str(cpu)).to_integral_value(ROUND_CEILING)))
    return 1


def resources_of(taskqueue: TaskQueue, workerclass: WorkerClass | None) -> Mapping[str, Any]:
    """What the worker's container asks for: the template's resources, or the class's."""
    spec = taskqueue.spec.worker.template.get("spec") or {}
    for container in spec.get("containers") or ():
        if container.get("name") == WORKER and container.get("resources") is not None:
            resources: Mapping[str, Any] = container["resources"]
            return resources
    return workerclass.spec.resources.to_outside() if workerclass is not None else {}

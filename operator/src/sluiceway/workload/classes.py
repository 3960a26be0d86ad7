"""Which WorkerClass a TaskQueue gets: the one it names, or the default one."""

from __future__ import annotations

from collections.abc import Collection

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass
from sluiceway.workload.unmakeable import UnmakeableError, Why


def class_of(taskqueue: TaskQueue, classes: Collection[WorkerClass]) -> WorkerClass | None:
    """The class that the workers of ``taskqueue`` get; None where no class is meant.

    A default class counts only where it is allowed, so that different namespaces may
    have different defaults.

    Args:
        classes: all of the cluster.

    Raises:
        UnmakeableError: the named class does not exist or is not for this namespace, or
            several classes are the default.
    """
    named = taskqueue.spec.worker.class_name
    namespace = taskqueue.metadata.namespace
    if named is None:
        return _default(classes, namespace)
    found = next((one for one in classes if one.metadata.name == named), None)
    allowed = sorted(one.metadata.name for one in classes if _allows(one, namespace))
    others = f"write one of {', '.join(allowed)}" if allowed else "none is offered here"
    if found is None:
        raise UnmakeableError(
            Why.CLASS_NOT_FOUND,
            f"worker.className: there is no WorkerClass {named}: {others}, or create it",
        )
    if not _allows(found, namespace):
        raise UnmakeableError(
            Why.CLASS_NOT_ALLOWED,
            f"worker.className: the WorkerClass {named} is not for the namespace {namespace}: "
            f"{others}, or add {namespace} to the class's allowedNamespaces",
        )
    return found


def _default(classes: Collection[WorkerClass], namespace: str) -> WorkerClass | None:
    defaults = [one for one in classes if one.spec.default and _allows(one, namespace)]
    if len(defaults) > 1:
        names = ", ".join(sorted(one.metadata.name for one in defaults))
        raise UnmakeableError(
            Why.SEVERAL_DEFAULTS,
            f"worker.className is not given, and several WorkerClasses are the default ({names}): "
            "name one of them, or leave default: true to one",
        )
    return defaults[0] if defaults else None


def _allows(workerclass: WorkerClass, namespace: str) -> bool:
    allowed = workerclass.spec.allowed_namespaces
    return not allowed or namespace in allowed

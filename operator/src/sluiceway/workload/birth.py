"""How a fleet's Deployment comes to be without a worker.

Where a new Deployment does not say how many replicas it has, Kubernetes gives it one:
each new TaskQueue would start a worker that nobody needs. Said once by whoever applies
it, though, the number would be taken away by the next apply that is silent of it. So
before that a second field manager holds it too, as Kubernetes hands a field from one to
another:

1. ``newborn(manifest)`` is applied by ``FIELD_MANAGER``; ``/scale`` says how many;
2. before a later apply that finds no worker, ``held_at_zero(manifest)`` by
   ``BIRTH_MANAGER``, without force: refused where it has been scaled meanwhile;
3. ``manifest`` by ``FIELD_MANAGER``.
"""

from __future__ import annotations

from typing import Any

BIRTH_MANAGER = "sluiceway-birth"


def newborn(manifest: dict[str, Any]) -> dict[str, Any]:
    """The whole Deployment, without workers."""
    return {**manifest, "spec": {**manifest["spec"], "replicas": 0}}


def held_at_zero(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same Deployment's number and nothing else of it."""
    name, namespace = (manifest["metadata"][part] for part in ("name", "namespace"))
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 0},
    }

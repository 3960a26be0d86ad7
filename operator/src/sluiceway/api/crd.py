"""The CustomResourceDefinitions, written from the models.

``sluiceway crd`` prints them, manifests/crds holds them, and a test holds the two
together: nobody edits them by hand.
"""

from __future__ import annotations

from typing import Any

import yaml

from sluiceway.api.schema import structural_schema
from sluiceway.api.taskqueue import GROUP, VERSION

_HEADER = "# Written by `sluiceway crd` from the models; do not edit.\n"


def _column(name: str, path: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **more}


_AGE = _column("Age", ".metadata.creationTimestamp", "date")

_TASKQUEUE_COLUMNS = [
    _column("Queues", ".status.queueNames"),
    _column("Waiting", ".status.waiting", "integer", description="Queue length."),
    _column("Oldest", ".status.oldestTaskAge", description="Age of the oldest waiting task."),
    _column("Running", ".status.inFlight", "integer", description="Tasks that workers hold."),
    _column("Workers", ".status.readyReplicas", "integer", description="Workers that consume."),
    _column("Desired", ".status.desiredReplicas", "integer"),
    _column("Class", ".status.className"),
    _column("Reason", ".status.reason", description="Why so many workers."),
    _AGE,
    _column("Message", ".status.message", priority=1),
]

_WORKERCLASS_COLUMNS = [
    _column("Default", ".spec.default", "boolean"),
    _column("Nodes", ".spec.nodeSelector"),
    _column("Priority", ".spec.priorityClassName"),
    _AGE,
]


def crds() -> dict[str, str]:
    """The CRDs by name (``taskqueues.sluiceway.dev``), each as YAML text."""
    taskqueue = _crd(
        kind="TaskQueue",
        plural="taskqueues",
        short="tq",
        scope="Namespaced",
        columns=_TASKQUEUE_COLUMNS,
        subresources={"status": {}},
    )
    workerclass = _crd(
        kind="WorkerClass",
        plural="workerclasses",
        short="wc",
        scope="Cluster",
        columns=_WORKERCLASS_COLUMNS,
        subresources={},
    )
    return {crd["metadata"]["name"]: _text(crd) for crd in (taskqueue, workerclass)}


def _crd(
    *,
    kind: str,
    plural: str,
    short: str,
    scope: str,
    columns: list[dict[str, Any]],
    subresources: dict[str, Any],
) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": structural_schema(kind)},
    }
    if subresources:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["sluiceway"],
            },
            "scope": scope,
            "versions": [version],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: shared parts are written out, as every reader of CRDs expects."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(crd: dict[str, Any]) -> str:
    body = yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return _HEADER + body

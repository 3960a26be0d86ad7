"""The objects of the scenes, as a user would write them, and as small as they can be."""

from __future__ import annotations

from typing import Any

from stage.images import COUNTED
from stage.servers import POD_SECURITY, SECURITY, Server

CLASSES: tuple[dict[str, Any], ...] = (
    {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "WorkerClass",
        "metadata": {"name": "light"},
        "spec": {
            "default": True,
            "nodeSelector": {"pool": "light"},
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "512Mi"}},
        },
    },
    {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "WorkerClass",
        "metadata": {"name": "high-cpu"},
        "spec": {
            "nodeSelector": {"pool": "high-cpu"},
            "tolerations": [
                {"key": "pool", "operator": "Equal", "value": "high-cpu", "effect": "NoSchedule"}
            ],
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "512Mi"}},
        },
    },
)
"""What the test cluster's platform team offers; its nodes are small and share one machine."""

SOON: dict[str, Any] = {
    "cooldownPeriod": "5s",
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
}
"""Scaling down without the minutes that users want before it."""


def taskqueue(
    name: str,
    broker: Server | dict[str, Any],
    *,
    worker: dict[str, Any] | None = None,
    scaling: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A TaskQueue of the counted application.

    Args:
        worker: laid over app, image, one slot and a longest task of 30 seconds.
        scaling: laid over ``SOON``.
        spec: what else is to be in spec, such as ``queues``.
    """
    return {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {
            "broker": {"url": broker.url} if isinstance(broker, Server) else broker,
            "worker": {
                "app": "counted",
                "image": COUNTED,
                "concurrency": 1,
                "pool": "solo",
                "longestTask": "30s",
                **(worker or {}),
            },
            "scaling": {**SOON, **(scaling or {})},
            **spec,
        },
    }


def deployment(
    name: str, *, container: dict[str, Any], replicas: int = 1, pool: str | None = "light"
) -> dict[str, Any]:
    """A Deployment of the team's own, such as its web.

    Args:
        pool: the nodes that it asks for; None for any that take it.
    """
    labels = {"app": name}
    pod: dict[str, Any] = {
        **({"nodeSelector": {"pool": pool}} if pool is not None else {}),
        "terminationGracePeriodSeconds": 30,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "containers": [{"securityContext": SECURITY, **container}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }

"""What Argo CD and Flux make of a TaskQueue's status, as the operator really writes it.

The test data of health.lua is what `kubectl get -o yaml` shows of these same objects:
`RECORD_HEALTH=1 pytest …` writes it anew.
"""

from __future__ import annotations

import os
from typing import Any

import yaml
from charting.health import HEALTH_LUA, argo_health, flux_health

from tests.integration.cluster.conftest import InCluster, StartOperator

TESTDATA = HEALTH_LUA.parent / "testdata"


async def seen(in_cluster: InCluster, name: str, testdata: str) -> tuple[str, str]:
    """How Argo CD and Flux judge the TaskQueue as it is."""
    found = await in_cluster.get("taskqueue", name)
    assert found is not None
    if os.environ.get("RECORD_HEALTH"):
        (TESTDATA / f"{testdata}.yaml").write_text(yaml.safe_dump(plain(found)), encoding="utf-8")
    return argo_health(found)[0], flux_health(found)


def plain(obj: dict[str, Any]) -> dict[str, Any]:
    """Without what only repeats it, or names this run."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    metadata.pop("annotations", None)
    metadata["namespace"] = "shop"
    obj["spec"]["broker"]["url"] = "redis://redis:6379/0"
    return obj


async def test_argo_cd_and_flux_wait_for_workers_and_call_for_a_person_only_when_one_must_act(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    with_class = {"app": "shop.tasks", "image": "shop:1", "className": "no-such-class"}
    held = {"maxReplicas": 20, "paused": True}
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    assert await seen(in_cluster, "exports", "progressing_new") == ("Progressing", "InProgress")

    await start_operator()
    await in_cluster.apply(
        in_cluster.taskqueue("emails"),
        in_cluster.taskqueue("mistaken", worker=with_class),
        in_cluster.taskqueue("paused", scaling=held),
        in_cluster.taskqueue("unreachable", broker={"url": "redis://127.0.0.1:1/0"}),
    )
    await in_cluster.condition("exports", "Ready", "True")
    assert await seen(in_cluster, "exports", "healthy") == ("Healthy", "Current")

    in_cluster.publish("emails", 10)
    await in_cluster.replicas("emails-worker", 2)
    await in_cluster.condition("emails", "Reconciling", "True")
    assert await seen(in_cluster, "emails", "progressing_workers_start") == (
        "Progressing",
        "InProgress",
    )

    await in_cluster.condition("paused", "ScalingActive", "False")
    await in_cluster.condition("paused", "Ready", "True")
    assert await seen(in_cluster, "paused", "suspended_paused") == ("Suspended", "Current")

    # A broker may come back, or be on its way in the same sync.
    await in_cluster.condition("unreachable", "BrokerReachable", "False")
    assert await seen(in_cluster, "unreachable", "progressing_broker_unreachable") == (
        "Progressing",
        "InProgress",
    )

    await in_cluster.condition("mistaken", "Stalled", "True")
    assert await seen(in_cluster, "mistaken", "degraded_unknown_class") == ("Degraded", "Failed")

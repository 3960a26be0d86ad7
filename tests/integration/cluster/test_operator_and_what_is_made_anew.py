"""Objects that go, or are made anew, while nobody tells the operator so, or it is busy."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest

from sluiceway.cluster.settle import Settled, Settler
from sluiceway.cluster.specs import Spec, Specs
from tests.integration.cluster.conftest import InCluster, StartOperator, condition


async def test_a_taskqueue_whose_end_nobody_told_is_forgotten_when_its_deployment_goes(
    in_cluster: InCluster, start_operator: StartOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the API server: a watch that lists anew says nothing of what went."""
    removed = Specs.remove_taskqueue
    told: list[str] = []
    forgotten = asyncio.Event()

    def remove(specs: Specs, key: str, uid: str) -> None:
        told.append(key)
        if len(told) > 1:  # what the watch says is lost
            removed(specs, key, uid)
            forgotten.set()

    monkeypatch.setattr(Specs, "remove_taskqueue", remove)
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    # The last that there is to write of it: a write would find out.
    await in_cluster.until("taskqueue", "exports", lambda tq: "arrivalRate" in str(tq))

    await in_cluster.run("delete", "taskqueue", "exports")

    async with asyncio.timeout(120):  # only reached by a hang
        await forgotten.wait()
    await in_cluster.until("deployment", "exports-worker", lambda found: found is None)


async def test_a_taskqueue_that_is_made_anew_in_one_moment_gets_a_whole_status(
    in_cluster: InCluster, start_operator: StartOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `kubectl replace --force`, while the operator is busy with the one before."""
    settle, put = Settler.settle, Specs.put_taskqueue
    gate = asyncio.Event()
    gate.set()
    seen: set[str] = set()
    seen_twice = asyncio.Event()

    async def settled_behind_the_gate(settler: Settler, spec: Spec) -> Settled:
        await gate.wait()
        return await settle(settler, spec)

    def put_and_noted(specs: Specs, body: Mapping[str, Any]) -> None:
        put(specs, body)
        seen.add(body["metadata"]["uid"])
        if len(seen) > 1:
            seen_twice.set()

    monkeypatch.setattr(Settler, "settle", settled_behind_the_gate)
    monkeypatch.setattr(Specs, "put_taskqueue", put_and_noted)
    await start_operator()
    taskqueue = in_cluster.taskqueue("exports")
    await in_cluster.apply(taskqueue)
    await in_cluster.condition("exports", "Ready", "True")

    gate.clear()
    await in_cluster.run(
        *("patch", "taskqueue", "exports", "--type=merge"),
        *("-p", '{"spec": {"scaling": {"maxReplicas": 19}}}'),
    )
    await in_cluster.run("delete", "taskqueue", "exports")
    await in_cluster.apply(taskqueue)
    async with asyncio.timeout(120):  # only reached by a hang
        await seen_twice.wait()
    gate.set()

    found = await in_cluster.until(
        "taskqueue", "exports", lambda tq: condition(tq, "Ready").get("status") == "True"
    )
    assert found["status"]["queueNames"] == "exports"
    assert found["status"]["acks"] == "app"


async def test_certificates_that_come_after_the_taskqueue_are_found_by_themselves(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    broker = {
        "url": in_cluster.broker.url.replace("redis://", "rediss://"),
        "tls": {"secretName": "redis-tls"},
    }
    await in_cluster.apply(in_cluster.taskqueue("exports", broker=broker))
    await in_cluster.until(
        "taskqueue",
        "exports",
        lambda tq: condition(tq, "Stalled").get("reason") == "BrokerTlsUnknown",
    )

    authority = in_cluster.control_plane.credentials.authority.read_bytes()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "redis-tls"},
        "data": {"ca.crt": base64.b64encode(authority).decode()},
    }
    await in_cluster.apply(secret)

    # That it is asked, and does not speak TLS, shows that the certificates were found.
    await in_cluster.until("taskqueue", "exports", lambda tq: "does not speak TLS" in str(tq))

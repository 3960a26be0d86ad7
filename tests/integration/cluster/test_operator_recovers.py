"""The kubelet's word brings a dead worker's messages back; a deleted object does not."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sluiceway.cli.main import app
from sluiceway_worker import wire
from tests.integration.cluster.conftest import InCluster, StartOperator


def take(in_cluster: InCluster, pod: str) -> bytes:
    """What a worker in this pod that took a message leaves in the broker; the message."""
    client = in_cluster.broker.client()
    message = json.dumps({"headers": {"id": pod, "task": "shop.pay"}, "properties": {}}).encode()
    tag, tail = f"{pod}:1:1", b', "", "exports"]'
    client.hset("unacked", tag, b"[" + message + tail)
    client.zadd("unacked_index", {tag: time.time()})
    client.hset(wire.held_key("", f"{pod}:1"), tag, f"{len(tail)}:exports")
    holder = wire.Holder(f"{in_cluster.name}/exports", "boot:1", time.time() - 60)
    client.hset(wire.holders_key(""), f"{pod}:1", holder.to_text())
    return message


async def a_pod(in_cluster: InCluster, *, other_than: tuple[str, ...] = ()) -> str:
    """The name of a worker's pod, once there is one."""

    def names(found: dict[str, Any] | None) -> list[str]:
        pods = (found or {}).get("items", ())
        return [one["metadata"]["name"] for one in pods if "exports" in one["metadata"]["name"]]

    found = await in_cluster.until(
        "pods",
        "-l=sluiceway.dev/taskqueue=exports",
        lambda pods: bool(set(names(pods)) - {*other_than}),
    )
    return next(name for name in names(found) if name not in other_than)


async def ends(in_cluster: InCluster, pod: str, why: str, **status: Any) -> None:
    """The kubelet says that the pod's container has ended."""
    over = {"exitCode": 137, "reason": why, "finishedAt": _now()}
    container = {
        "name": "worker",
        "image": "shop:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": over},
    }
    patch = json.dumps({"status": {"containerStatuses": [container], **status}})
    await in_cluster.run("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", patch)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def test_a_dead_containers_messages_come_back_and_it_is_told(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    tq = in_cluster.taskqueue("exports", scaling={"minReplicas": 1, "maxReplicas": 1})
    await in_cluster.apply(tq)
    pod = await a_pod(in_cluster)
    take(in_cluster, pod)
    await ends(in_cluster, pod, "OOMKilled")
    client = in_cluster.broker.client()
    await in_cluster.until("taskqueue", "exports", lambda _: client.llen("exports") == 1)
    (message,) = client.lrange("exports", 0, -1)
    assert json.loads(message)["headers"]["sluiceway_deaths"][0][1] == "OOMKilled"
    assert (client.hlen("unacked"), client.exists(wire.holders_key(""))) == (0, 0)
    found = await in_cluster.until(
        "events", "--field-selector=reason=TasksCameBack", lambda one: bool(one and one["items"])
    )
    note = json.dumps(found, ensure_ascii=False)
    assert f"worker {pod} is dead (OOMKilled): 1 message went back" in note
    assert "1 × shop.pay" in note


async def test_a_pod_that_is_deleted_by_force_proves_nothing(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    tq = in_cluster.taskqueue("exports", scaling={"minReplicas": 1, "maxReplicas": 1})
    await in_cluster.apply(tq)
    gone = await a_pod(in_cluster)
    take(in_cluster, gone)
    await in_cluster.run("delete", "pod", gone, "--force", "--grace-period=0")
    other = await a_pod(in_cluster, other_than=(gone,))
    take(in_cluster, other)
    await ends(in_cluster, other, "Error", phase="Failed", reason="Evicted")
    client = in_cluster.broker.client()
    await in_cluster.until("taskqueue", "exports", lambda _: client.llen("exports") == 1)
    (message,) = client.lrange("exports", 0, -1)
    headers = json.loads(message)["headers"]
    assert (headers["id"], headers["redelivered"]) == (other, True)
    assert "sluiceway_deaths" not in headers
    assert client.hlen(wire.held_key("", f"{gone}:1")) == 1


@pytest.fixture
def node(in_cluster: InCluster) -> Iterator[str]:
    """A Node object without a machine."""
    name = f"node-of-{in_cluster.name}"
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    in_cluster.kubectl.apply(json.dumps(made))
    yield name
    in_cluster.kubectl.run("delete", "node", name, "--ignore-not-found")


async def bind(in_cluster: InCluster, pod: str, node: str) -> None:
    """As the scheduler does."""
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    path = f"/api/v1/namespaces/{in_cluster.name}/pods/{pod}/binding"
    await asyncio.to_thread(
        in_cluster.kubectl.run, "create", "--raw", path, "-f", "-", stdin=json.dumps(binding)
    )


@pytest.mark.parametrize("what", ["gone", "out of service"])
async def test_a_lost_node_brings_back_what_its_silent_workers_held(
    what: str, in_cluster: InCluster, start_operator: StartOperator, node: str
) -> None:
    await start_operator()
    tq = in_cluster.taskqueue("exports", scaling={"minReplicas": 2, "maxReplicas": 2})
    await in_cluster.apply(tq)
    silent = await a_pod(in_cluster)
    heard = await a_pod(in_cluster, other_than=(silent,))
    client = in_cluster.broker.client()
    for pod in (silent, heard):
        await bind(in_cluster, pod, node)
        take(in_cluster, pod)
    client.set(wire.heartbeat_key("", f"{heard}:1"), "{}")

    if what == "gone":
        await in_cluster.run("delete", "node", node)
    else:
        taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
        await in_cluster.run("taint", "node", node, taint)

    await in_cluster.until("taskqueue", "exports", lambda _: client.llen("exports") == 1)
    headers = json.loads(client.lindex("exports", 0))["headers"]
    assert (headers["id"], headers["redelivered"]) == (silent, True)
    assert "sluiceway_deaths" not in headers
    assert client.hlen(wire.held_key("", f"{heard}:1")) == 1
    found = await in_cluster.until(
        "events", "--field-selector=reason=TasksCameBack", lambda one: bool(one and one["items"])
    )
    assert f"worker {silent} is dead (node {node} is {what}): 1 message" in json.dumps(found)


async def test_without_the_right_to_look_at_nodes_the_operator_works_and_says_so(
    in_cluster: InCluster, start_operator: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    base = Path(__file__).parents[3] / "manifests" / "base"
    rules = [
        rule
        for file in ("fleets-role.yaml", "workerclasses-role.yaml", "lease-role.yaml")
        for one in yaml.safe_load_all((base / file).read_text("utf-8"))
        for rule in one.get("rules", ())
    ]
    kubeconfig = await asyncio.to_thread(
        in_cluster.control_plane.service_account,
        *("operator", in_cluster.name, rules),
        cluster_wide=True,
    )
    with caplog.at_level(logging.INFO, logger="sluiceway"):
        await start_operator(kubeconfig=kubeconfig)
        await in_cluster.apply(in_cluster.taskqueue("exports"))
        in_cluster.publish("exports", 3)
        await in_cluster.replicas("exports-worker", 1)
        async with asyncio.timeout(120):
            while not any("rbac.nodes" in one for one in caplog.messages):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_dead_letters_are_found_by_their_taskqueue(in_cluster: InCluster) -> None:
    fleet = f"{in_cluster.name}/exports"
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    letter = wire.Letter(
        id="5f0c", task="shop.pay", at=1.0, source="exports", fleet=fleet, deaths=[], message=b"{}"
    )
    client = in_cluster.broker.client()
    client.hset(wire.dead_key("", fleet), "w:1:1", letter.to_bytes())

    def dead(*words: str, taskqueue: str = "tq/exports") -> Any:
        kubeconfig = str(in_cluster.control_plane.credentials.kubeconfig())
        where = ["-q", taskqueue, "-n", in_cluster.name, "--kubeconfig", kubeconfig]
        return CliRunner().invoke(app, ["dead", *words, *where])

    listed = await asyncio.to_thread(dead, "list")
    assert "5f0c  shop.pay  exports" in listed.stdout
    unknown = await asyncio.to_thread(dead, "list", taskqueue="nobody")
    assert "there is no TaskQueue nobody" in str(unknown.exception)
    await asyncio.to_thread(dead, "release", "5f0c")
    assert client.lrange("exports", 0, -1) == [b"{}"]

"""100 messages in one push → replicas asked for, Sluiceway beside a KEDA that runs already.

The cluster of the kubeconfig has both: KEDA with its metrics adapter, and Sluiceway's
operator. In a namespace of its own two Deployments begin at zero, one under a ScaledObject
and one under a TaskQueue that ask the same: 5 messages for each replica, 20 at the most.
Both get their messages at the same moment, at any moment between two of KEDA's polls. Nothing
works them off, and the pods do nothing: what is measured is `spec.replicas`.

    python -m benchmarks.keda_reaction --kubeconfig ~/.kube/config \\
        --broker redis://redis.default:6379/0 --broker-from-here redis://localhost:6379/0
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks.common import Result, machine, show, summary, write

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "e2e")]

from stage.streams import Seen, watched  # noqa: E402
from stage.until import until  # noqa: E402
from testcluster.kubectl import Kubectl  # noqa: E402

MESSAGES, EACH, MOST = 100, 5, 20
COUNTS = (1, 2, 5, 10, 20)
SIDES = {"sluiceway": "queue-of-sluiceway", "keda": "queue-of-keda"}
_MESSAGE = json.dumps(
    {
        "body": "W1tdLCB7fSwge31d",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"id": "f86d279d-d2b5-4774-87f2-9d4133b176e5", "task": "tasks.work"},
        "properties": {"priority": 0, "body_encoding": "base64", "delivery_tag": "1"},
    }
)


def run(kubectl: Kubectl, broker: str, client: redis.Redis, *, tries: int, poll_s: int) -> Result:
    """Seconds from the push until so many replicas were asked for, and the ratios.

    Args:
        broker: as the operators reach it.
        client: of the same broker, from here.
        poll_s: KEDA's `pollingInterval`.
    """
    rows = [_try(kubectl, broker, client, poll_s) for _ in range(tries)]
    figures: Result = {"tries": tries, "keda_poll_s": poll_s}
    for count in COUNTS:
        ours, kedas = ([row[side][count] for row in rows] for side in SIDES)
        figures[f"s_until_{count}"] = {
            "sluiceway": summary(ours),
            "keda": summary(kedas),
            "ratio": round(summary(kedas)["median"] / summary(ours)["median"], 1),
        }
    return figures


def _try(kubectl: Kubectl, broker: str, client: redis.Redis, poll_s: int) -> Any:
    with _namespace(kubectl) as there:
        client.delete(*SIDES.values())
        there.apply(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [*_objects(broker, poll_s)]})
        )
        until(lambda: _ready(there, "taskqueue", "sluiceway"), that="the TaskQueue is ready")
        until(lambda: _ready(there, "scaledobject", "keda"), that="the ScaledObject is ready")
        until(lambda: _at_zero(there), that="both are at zero")
        fields = (".metadata.name", ".spec.replicas")
        with watched(there, "deployment", *fields) as seen:
            seen.wait(lambda lines: len(lines) >= len(SIDES), that="the watch has begun")
            time.sleep(random.uniform(0.0, poll_s))
            with client.pipeline() as pipe:
                for queue in SIDES.values():
                    pipe.lpush(queue, *[_MESSAGE] * MESSAGES)
                pipe.execute()
            at = time.monotonic()
            for side in SIDES:
                seen.wait(_asked_for_all(side), that=f"{side} asks for {MOST}", hangs_s=300)
            return {
                side: {
                    count: next(
                        line.at - at
                        for line in seen.seen
                        if line.fields[0] == side and int(line.fields[1]) >= count
                    )
                    for count in COUNTS
                }
                for side in SIDES
            }


def _asked_for_all(side: str) -> Callable[[list[Seen]], bool]:
    return lambda lines: (side, str(MOST)) in [line.fields for line in lines]


def _objects(broker: str, poll_s: int) -> Iterator[dict[str, Any]]:
    """Two Deployments of nothing, and what scales each."""
    for side in SIDES:
        container = {
            "name": "nothing",
            "image": "registry.k8s.io/pause:3.10",
            "resources": {"requests": {"cpu": "1m"}},
        }
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": side},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": side}},
                "template": {
                    "metadata": {"labels": {"app": side}},
                    "spec": {"containers": [container]},
                },
            },
        }
    address = urlsplit(broker)
    yield {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "keda"},
        "spec": {
            "scaleTargetRef": {"name": "keda"},
            "minReplicaCount": 0,
            "maxReplicaCount": MOST,
            "pollingInterval": poll_s,
            "triggers": [
                {
                    "type": "redis",
                    "metadata": {
                        "address": f"{address.hostname}:{address.port or 6379}",
                        "databaseIndex": address.path.strip("/") or "0",
                        "listName": SIDES["keda"],
                        "listLength": str(EACH),
                    },
                }
            ],
        },
    }
    yield {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "sluiceway"},
        "spec": {
            "queues": [SIDES["sluiceway"]],
            "broker": {"url": broker},
            "worker": {"deploymentRef": {"name": "sluiceway"}, "agent": "none"},
            "scaling": {"maxReplicas": MOST, "target": {"backlogPerReplica": EACH}},
        },
    }


def _ready(kubectl: Kubectl, kind: str, name: str) -> bool:
    conditions = kubectl.get(kind, name).get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _at_zero(kubectl: Kubectl) -> bool:
    return all(kubectl.get("deployment", side)["spec"]["replicas"] == 0 for side in SIDES)


@contextmanager
def _namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    name = f"reaction-{secrets.token_hex(4)}"
    kubectl.run("create", "namespace", name)
    there = kubectl.within(name)
    try:
        yield there
    finally:
        # KEDA's finalizer needs its namespace; it is given the time for it.
        there.try_run("delete", "scaledobject,taskqueue", "--all", "--timeout=60s")
        kubectl.try_run("delete", "namespace", name, "--wait=false")


def main() -> None:
    """Three tries with KEDA's poll at a second, unless told otherwise."""
    parser = argparse.ArgumentParser(description="Sluiceway beside a KEDA that runs already.")
    parser.add_argument("--kubeconfig", type=Path, default=Path.home() / ".kube" / "config")
    parser.add_argument("--kubectl", type=Path, default=shutil.which("kubectl"))
    parser.add_argument("--broker", required=True, help="its URL as the operators reach it")
    parser.add_argument("--broker-from-here", help="its URL from here, where it is another")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--poll", type=int, default=1, help="KEDA's pollingInterval, seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    if given.kubectl is None:
        parser.error("no kubectl on PATH: name one by --kubectl")
    kubectl = Kubectl(program=given.kubectl, kubeconfig=given.kubeconfig)
    for crd in ("scaledobjects.keda.sh", "taskqueues.sluiceway.dev"):
        if kubectl.try_run("get", "crd", crd).code:
            parser.error(f"{given.kubeconfig}: the cluster has no {crd}: install it first")
    with redis.Redis.from_url(given.broker_from_here or given.broker) as client:
        figures = run(kubectl, given.broker, client, tries=given.tries, poll_s=given.poll)
    show("100 messages, Sluiceway beside KEDA", figures)
    write(given.json, {"machine": machine(), "reaction": figures})


if __name__ == "__main__":
    main()

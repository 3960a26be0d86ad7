"""The main thing: a burst is worked off by as many workers as it needs, where they belong."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from contextlib import ExitStack
from typing import Any

import pytest
import yaml
from stage.fleet import Fleet
from stage.images import SHOP
from stage.objects import SOON, deployment
from stage.scene import Scene
from stage.streams import Seen, forwarded, watched
from stage.until import until
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS
from testcluster.provider import Cluster

CLICKS = 16

WEB = deployment(
    "web",
    pool=None,
    container={
        "name": "app",
        "image": SHOP,
        "command": ["gunicorn", "-c", "python:sluiceway_sample.serving"],
        "env": [
            {"name": "SHOP_BIND", "value": "0.0.0.0:8000"},
            {"name": "SHOP_DATABASE", "value": "/tmp/shop.sqlite3"},
            {"name": "CELERY_BROKER_URL", "value": "redis://redis:6379/0"},
        ],
        "ports": [{"containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    },
)
WEB["spec"]["template"]["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]

# A real shop has one database server; here each pod has a copy, with what will be asked for.
SEED = f"""\
import time
from sluiceway_sample.wanted import new_row
for _ in range({CLICKS}):
    new_row("INSERT INTO exports (rows, asked_at) VALUES (?, ?)", 150, time.time())
"""
SEEDED: dict[str, Any] = {
    "spec": {
        "initContainers": [
            {
                "name": "database",
                "image": SHOP,
                "command": ["python", "-c", SEED],
                "env": [{"name": "SHOP_DATABASE", "value": "/tmp/shop.sqlite3"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ]
    }
}


def example(file: str, name: str) -> dict[str, Any]:
    """One object of manifests/examples, for whatever namespace it is applied to."""
    text = (MANIFESTS / "examples" / file).read_text(encoding="utf-8")
    for one in yaml.safe_load_all(text):
        if one["metadata"]["name"] == name:
            one["metadata"].pop("namespace", None)
            return dict(one)
    raise LookupError(f"{file} has no {name}")


def pools(kubectl: Kubectl) -> dict[str, str]:
    """The pool of each node."""
    return {
        node["metadata"]["name"]: node["metadata"]["labels"].get("pool", "")
        for node in kubectl.items("nodes")
    }


def post(port: int, path: str, **form: str) -> str:
    """Ask the web for something slow; the id of the task that will do it."""
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=60) as answer:
        assert answer.status == 202
        return str(json.load(answer)["task_id"])


def test_a_burst_of_exports_takes_their_fleet_from_zero_to_several_and_back_on_its_own_nodes(
    scene: Scene, cluster: Cluster
) -> None:
    kubectl = scene.kubectl
    kubectl.run("create", "secret", "generic", "redis", f"--from-literal=url={scene.broker.url}")
    exports, emails = example("like-the-web.yaml", "exports"), example("targets.yaml", "emails")
    exports["spec"]["worker"]["template"] = SEEDED
    exports["spec"]["scaling"] = SOON
    container = {"name": "worker", "env": [{"name": "SHOP_DATABASE", "value": "/tmp/shop.sqlite3"}]}
    emails["spec"]["worker"]["template"] = {"spec": {"containers": [container]}}
    with ExitStack() as stack:
        where = ".metadata.labels.sluiceway\\.dev/taskqueue", ".spec.nodeName", ".metadata.name"
        pods = stack.enter_context(watched(kubectl, "pods", *where))
        scene.apply(WEB, exports, emails)
        kubectl.run("rollout", "status", "deployment/web", "--timeout=100s")
        fleet = Fleet(kubectl, "exports")
        fleet.await_deployment()
        Fleet(kubectl, "emails").await_ready(1)
        numbers = stack.enter_context(
            watched(kubectl, "deployment", ".spec.replicas", which="exports-worker")
        )
        assert fleet.replicas == 0

        web = stack.enter_context(forwarded(kubectl, "deployment/web", 8000))
        asked = [post(web, "/exports", rows="150") for _ in range(CLICKS)]
        for _ in range(CLICKS):
            post(web, "/emails", recipient="a@shop.example", subject="hello")

        def made() -> bool:
            results = scene.broker.client.mget([f"celery-task-meta-{one}" for one in asked])
            return [json.loads(r)["status"] for r in results if r] == ["SUCCESS"] * CLICKS

        until(made, that=f"{CLICKS} exports are made")
        until(lambda: scene.broker.client.llen("emails") == 0, that="all emails are taken")
        fleet.await_replicas(0)
        until(lambda: fleet.pods() == [], that="no worker of exports is left")

        asked_for = [int(one) for one in numbers.column(0)]
        assert (asked_for[0], max(asked_for) >= 2, asked_for[-1]) == (0, True, 0)
        pool = pools(cluster.kubectl)
        seen = {(fleet, pool[node]) for fleet, node, name in _placed(pods.seen) if fleet}
        assert seen == {("exports", "high-cpu"), ("emails", "light")}
        webs = {pool[node] for _, node, name in _placed(pods.seen) if name.startswith("web-")}
        assert webs == {"light"}


def _placed(lines: list[Seen]) -> list[tuple[str, str, str]]:
    """Fleet (empty for none), node and name of each pod that was scheduled."""
    return [(fleet, node, name) for fleet, node, name in (s.fields for s in lines) if node]


def test_a_hundred_tasks_at_once_bring_an_idle_fleet_to_twenty_workers(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = scene.fleet("exports", scaling={"maxReplicas": 20, "target": {"backlogPerReplica": 5}})
    with watched(scene.kubectl, "deployment", ".spec.replicas", which=fleet.deployment) as replicas:
        replicas.wait(lambda seen: len(seen) > 0, that="the watch has begun")
        pushed_at = scene.tasks.push("exports", 100, seconds=0.05)
        replicas.wait(lambda seen: seen[-1].fields == ("20",), that="twenty are asked for")
    table = [
        (count, next(s.at - pushed_at for s in replicas.seen if int(s.fields[0]) >= count))
        for count in (1, 2, 5, 10, 20)
    ]
    with capsys.disabled():
        print("\nseconds from LPUSH to spec.replicas:", end="")
        print("".join(f"  ≥{count}: {seconds:.3f}" for count, seconds in table))
    scene.await_all_done()

"""What cannot be served says so, keeps what it has, and is in nobody's way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.images import COUNTED
from stage.objects import deployment, taskqueue
from stage.operator import Operator
from stage.scene import Scene
from stage.until import until
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl


@pytest.mark.parametrize(
    ("path", "value", "sentences"),
    [
        (("scaling", "maxReplicas"), -1, ["spec.scaling.maxReplicas", "greater than or equal to"]),
        (("worker", "longestTask"), "2 hours", ["spec.worker.longestTask"]),
        (("worker", "concurency"), 2, ['unknown field "spec.worker.concurency"']),
        (("broker", "urlFrom"), {"env": "BROKER"}, ["spec.broker"]),
        (("scaling", "target"), {"maxWait": "1s", "backlogPerReplica": 3}, ["spec.scaling.target"]),
    ],
    ids=["number", "duration", "typo", "two brokers", "two targets"],
)
def test_kubectl_apply_refuses_a_malformed_taskqueue_and_names_the_field(
    path: tuple[str, ...], value: Any, sentences: list[str], restricted: Namespace
) -> None:
    body = taskqueue("exports", {"url": "redis://redis:6379/0"})
    place = body["spec"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    outcome = restricted.kubectl.try_run("apply", "--filename=-", stdin=json.dumps(body))
    assert outcome.code != 0
    assert [one for one in sentences if one not in outcome.stderr] == []


def test_each_problem_is_a_condition_with_a_sentence_and_the_others_go_on(scene: Scene) -> None:
    secret = {"urlFrom": {"secretKeyRef": {"name": "absent", "key": "url"}}}
    autoscaled = taskqueue("autoscaled", scene.broker)
    autoscaled["spec"]["worker"] = {"deploymentRef": {"name": "own"}}
    well = scene.fleet("well")
    scene.apply(
        deployment("own", container={"name": "app", "image": COUNTED}, replicas=0),
        HPA,
        autoscaled,
        taskqueue("secretless", secret),
        taskqueue("classless", scene.broker, worker={"className": "gpu"}),
        # Created in the same second, the first by name stays: this is the later one both ways.
        taskqueue("well-too", scene.broker, queues=["well"]),
    )
    expected = {
        "autoscaled": ("ScaledByAnother", "HorizontalPodAutoscaler own"),
        "secretless": ("BrokerUrlUnknown", "absent"),
        "classless": ("WorkerClassNotFound", "gpu"),
        "well-too": ("Taken", f"{scene.namespace}/well"),
    }
    for name, (reason, words) in expected.items():
        told = Fleet(scene.kubectl, name).await_condition("Stalled")
        assert (name, told["reason"]) == (name, reason)
        assert words in told["message"]
    assert scene.kubectl.get("deployment", "own")["spec"]["replicas"] == 0

    scene.tasks.publish("well", 3, seconds=0.1)
    scene.await_all_done()
    assert well.condition("Stalled") is None

    # What is mended goes on by itself.
    scene.kubectl.run(
        "create", "secret", "generic", "absent", f"--from-literal=url={scene.broker.url}"
    )
    mended = Fleet(scene.kubectl, "secretless")
    mended.await_condition("Ready")
    scene.tasks.publish("secretless", 1, seconds=0.1)
    scene.await_all_done()
    assert scene.tasks.tally() == CLEAN


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ({"image": "registry.example/absent:1"}, ["cannot get their image", "absent"]),
        ({"app": "no_such_module"}, ["ended by themselves", "kubectl logs"]),
    ],
    ids=["no image", "crash"],
)
def test_a_fleet_that_cannot_start_says_why_and_stops_growing(
    worker: dict[str, Any], words: list[str], scene: Scene
) -> None:
    scaling = {"minReplicas": 1, "target": {"backlogPerReplica": 1}}
    scene.apply(taskqueue("exports", scene.broker, worker=worker, scaling=scaling))
    fleet = Fleet(scene.kubectl, "exports")
    until(lambda: fleet.ready_is("WorkersFailing"), that="it says that its workers fail")
    told = fleet.condition("Ready") or {}
    assert [one for one in words if one not in told["message"]] == []
    scene.tasks.publish("exports", 5, seconds=0.1)
    until(lambda: fleet.status["reason"] == "WorkersFailing", that="no more workers are added")
    assert fleet.replicas == 1


HPA = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "own"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "own"},
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ],
    },
}


def names(kubectl: Kubectl, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in kubectl.items(kind)}


def test_a_deleted_taskqueue_takes_its_fleet_along_and_nothing_else(scene: Scene) -> None:
    gone = scene.fleet("gone", scaling={"minReplicas": 1})
    stays = scene.fleet("stays", scaling={"minReplicas": 1})
    gone.await_ready(1)
    stays.await_ready(1)
    scene.kubectl.run("delete", "taskqueue", "gone", "--timeout=60s")
    until(lambda: gone.pods() == [], that="its workers are gone")
    assert names(scene.kubectl, "deployments") == {"stays-worker"}
    assert names(scene.kubectl, "pods") >= {"redis", "ledger"}
    scene.tasks.publish("stays", 2, seconds=0.1)
    scene.await_all_done()


def test_a_namespace_with_fleets_is_deleted_without_hanging_also_without_an_operator(
    scene: Scene, operator: Operator
) -> None:
    fleet = scene.fleet("exports", scaling={"minReplicas": 1})
    fleet.await_ready(1)
    stored = scene.kubectl.get("taskqueue", "exports")["metadata"]
    assert "finalizers" not in stored
    operator.scale(0)
    try:
        operator.cluster.run("delete", "namespace", scene.namespace, "--timeout=100s")
    finally:
        operator.scale(2)

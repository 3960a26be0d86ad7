"""What users have already: images without the agent, Deployments of their own, a web."""

from __future__ import annotations

import json
from typing import Any

from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.images import COUNTED, COUNTED_NEXT
from stage.objects import deployment, taskqueue
from stage.scene import Scene
from stage.streams import watched
from stage.until import until

BROKER_ENV = {"name": "CELERY_BROKER_URL", "value": "redis://redis:6379/0"}
FROM_CONFIG = {"configMapKeyRef": {"name": "shop", "key": "broker"}}
WAIT = ["python", "-c", "import signal; signal.pause()"]


def test_without_an_agent_a_fleet_works_from_zero_to_zero_and_says_what_is_not_known(
    scene: Scene,
) -> None:
    fleet = scene.fleet("exports", worker={"agent": "none"})
    assert fleet.replicas == 0
    scene.tasks.publish("exports", 6, seconds=0.3)
    scene.await_all_done()
    told = fleet.await_condition("WorkersReport", "False")
    assert "no agent" in told["message"]
    fleet.await_replicas(0)
    assert scene.tasks.tally() == CLEAN


def test_an_agent_that_cannot_start_costs_no_task_and_the_status_says_where_to_look(
    scene: Scene,
) -> None:
    broken = {"name": "worker", "env": [{"name": "SLUICEWAY_ACKS", "value": "never heard of"}]}
    template = {"spec": {"containers": [broken]}}
    worker, scaling = {"template": template}, {"minReplicas": 1}
    scene.apply(taskqueue("exports", scene.broker, worker=worker, scaling=scaling))
    fleet = Fleet(scene.kubectl, "exports")
    told = fleet.await_condition("WorkersReport", "False")
    scene.tasks.publish("exports", 3, seconds=0.1)
    scene.await_all_done()
    (pod,) = fleet.pods()
    command = f"kubectl logs {pod['metadata']['name']}"
    assert (
        f"the agent did not start, and they run as plain Celery (its first lines say why: {command}"
        in told["message"]
    )
    assert "the agent cannot start" in scene.kubectl.run(*command.split()[1:])
    assert scene.tasks.tally() == CLEAN


def test_a_deployment_of_the_teams_own_is_scaled_and_nothing_else_of_it_is_written(
    scene: Scene,
) -> None:
    worker = {
        "name": "celery",
        "image": COUNTED,
        "command": ["celery", "-A", "counted", "worker", "-P", "solo", "-Q", "exports"],
        "env": [BROKER_ENV],
    }
    scene.apply(deployment("video-worker", container=worker, replicas=0, pool="high-cpu"))
    tolerated = [{"op": "add", "path": "/spec/template/spec/tolerations", "value": TOLERATED}]
    scene.kubectl.run(
        *("patch", "deployment", "video-worker", "--type=json"), f"--patch={json.dumps(tolerated)}"
    )
    before = scene.kubectl.get("deployment", "video-worker")
    body = taskqueue("exports", scene.broker)
    body["spec"]["worker"] = {
        "deploymentRef": {"name": "video-worker"},
        "concurrency": 1,
        "longestTask": "30s",
    }
    scene.apply(body)
    fleet = Fleet(scene.kubectl, "exports", deployment="video-worker")
    fleet.await_condition("Ready")
    scene.tasks.publish("exports", 6, seconds=0.3)
    scene.await_all_done()
    fleet.await_replicas(0)

    after = scene.kubectl.get("deployment", "video-worker")
    for state in (before, after):
        del state["spec"]["replicas"]
    assert after["spec"] == before["spec"]
    assert _of_users(after) == _of_users(before)
    assert "ownerReferences" not in after["metadata"]
    assert scene.tasks.tally() == CLEAN


TOLERATED = [{"key": "pool", "operator": "Exists"}]


def _of_users(stored: dict[str, Any]) -> tuple[Any, Any]:
    annotations = dict(stored["metadata"].get("annotations", {}))
    annotations.pop("deployment.kubernetes.io/revision", None)
    return annotations, stored["metadata"].get("labels")


def test_workers_like_the_web_follow_its_new_image_and_its_broker(scene: Scene) -> None:
    scene.kubectl.run("create", "configmap", "shop", f"--from-literal=broker={scene.broker.url}")
    env = [{"name": "CELERY_BROKER_URL", "valueFrom": FROM_CONFIG}]
    web = {"name": "app", "image": COUNTED, "command": WAIT, "env": env}
    scene.apply(deployment("web", container=web))
    worker = {"app": "counted", "like": {"name": "web", "container": "app"}, "concurrency": 1}
    body = taskqueue(
        "exports", {"urlFrom": {"env": "CELERY_BROKER_URL"}}, scaling={"minReplicas": 1}
    )
    body["spec"]["worker"] = {**worker, "pool": "solo", "longestTask": "30s"}
    scene.apply(body)
    fleet = Fleet(scene.kubectl, "exports")
    fleet.await_deployment()
    fleet.await_ready(1)
    with watched(scene.kubectl, "pods", ".spec.containers[0].image", which=fleet.selector) as pods:
        scene.kubectl.run("set", "image", "deployment/web", f"app={COUNTED_NEXT}")
        pods.wait(
            lambda seen: any(s.fields == (COUNTED_NEXT,) for s in seen),
            that="a worker of the new image",
        )
    until(lambda: _images(fleet) == {COUNTED_NEXT}, that="the old worker has gone")
    scene.tasks.publish("exports", 3, seconds=0.1)
    scene.await_all_done()
    assert scene.tasks.tally() == CLEAN


def _images(fleet: Fleet) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in fleet.pods()}

"""What a person must mend: a sentence in the conditions, workers that stay, others unharmed."""

from __future__ import annotations

import asyncio
from typing import Any

import yaml
from testcluster.paths import REPOSITORY

from sluiceway.api.validate import validate
from tests.integration.cluster.conftest import InCluster, StartOperator, condition


async def stalled(in_cluster: InCluster, name: str, reason: str) -> str:
    """The sentence of a TaskQueue that a person must act on; Ready says the same."""
    found = await in_cluster.condition(name, "Stalled", "True")
    ready = await in_cluster.condition(name, "Ready", "False")
    assert (found["reason"], ready["reason"]) == (reason, reason)
    assert found["message"] == ready["message"]
    return str(found["message"])


async def goes_on(in_cluster: InCluster, name: str) -> None:
    """Another TaskQueue is served as ever."""
    in_cluster.publish(name, 10)
    await in_cluster.replicas(f"{name}-worker", 2)


def own_deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
            },
        },
    }


async def test_a_class_that_does_not_exist_is_named_and_one_that_comes_is_taken(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    name = f"gpu-{in_cluster.name}"
    worker = {"app": "shop.tasks", "image": "shop:1", "className": name}
    await in_cluster.apply(in_cluster.taskqueue("exports", worker=worker))
    await in_cluster.apply(in_cluster.taskqueue("emails"))
    sentence = await stalled(in_cluster, "exports", "WorkerClassNotFound")
    assert f"there is no WorkerClass {name}" in sentence
    await goes_on(in_cluster, "emails")
    await in_cluster.apply(
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "WorkerClass",
            "metadata": {"name": name},
            "spec": {"nodeSelector": {"pool": "gpu"}},
        }
    )
    try:
        found = await in_cluster.until("deployment", "exports-worker", lambda one: one is not None)
        assert found["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}
        await in_cluster.condition("exports", "Ready", "True")
    finally:
        await in_cluster.run("delete", "workerclass", name)


async def test_the_fleet_of_a_class_that_goes_is_kept_and_goes_on_being_scaled(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    name = f"gpu-{in_cluster.name}"
    await in_cluster.apply(
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "WorkerClass",
            "metadata": {"name": name},
            "spec": {},
        }
    )
    await start_operator()
    worker = {"app": "shop.tasks", "image": "shop:1", "className": name}
    await in_cluster.apply(in_cluster.taskqueue("exports", worker=worker))
    await in_cluster.condition("exports", "Ready", "True")
    await in_cluster.run("delete", "workerclass", name)
    await stalled(in_cluster, "exports", "WorkerClassNotFound")
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)


async def test_a_missing_secret_holds_the_fleet_until_it_is_there(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    broker = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
    await in_cluster.apply(in_cluster.taskqueue("exports", broker=broker))
    await in_cluster.apply(in_cluster.taskqueue("emails"))
    sentence = await stalled(in_cluster, "exports", "BrokerUrlUnknown")
    assert f"Secret {in_cluster.name}/redis does not exist; create it" in sentence
    await goes_on(in_cluster, "emails")
    await in_cluster.run(
        "create", "secret", "generic", "redis", f"--from-literal=url={in_cluster.broker.url}"
    )
    await in_cluster.condition("exports", "Ready", "True")
    in_cluster.publish("exports", 100)
    await in_cluster.replicas("exports-worker", 20)


async def test_a_password_that_changes_is_read_again_when_the_broker_refuses_the_old_one(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    client = in_cluster.broker.client()
    client.execute_command("ACL", "SETUSER", "operator", "on", ">old", "~*", "&*", "+@all")

    def url(password: str) -> str:
        return f"redis://operator:{password}@127.0.0.1:{in_cluster.broker.port}/0"

    create = ("create", "secret", "generic", "redis")
    await in_cluster.run(*create, f"--from-literal=url={url('old')}")
    await start_operator()
    broker = {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
    await in_cluster.apply(in_cluster.taskqueue("exports", broker=broker))
    await in_cluster.condition("exports", "Ready", "True")

    client.execute_command("ACL", "SETUSER", "operator", "resetpass", ">new")
    client.execute_command("CLIENT", "KILL", "USER", "operator")
    found = await in_cluster.until(
        "taskqueue", "exports", lambda tq: "refuses the user or the password" in str(tq)
    )
    assert ":old@" not in str(found)
    secret = await in_cluster.run(
        *create, f"--from-literal=url={url('new')}", "--dry-run=client", "-o", "yaml"
    )
    await asyncio.to_thread(in_cluster.kubectl.apply, secret)
    await in_cluster.condition("exports", "BrokerReachable", "True")


async def test_of_two_taskqueues_on_one_queue_the_older_one_has_it(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    await in_cluster.apply(in_cluster.taskqueue("second", queues=["exports"]))
    sentence = await stalled(in_cluster, "second", "Taken")
    assert f"the TaskQueue {in_cluster.name}/exports has the queue exports" in sentence
    await goes_on(in_cluster, "exports")
    await in_cluster.run("delete", "taskqueue", "exports")
    await in_cluster.condition("second", "Ready", "Unknown")  # its two workers do not come up
    await in_cluster.replicas("second-worker", 2)


async def test_a_deployment_that_an_hpa_scales_already_is_left_to_it(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(own_deployment("video-worker"))
    await in_cluster.run("autoscale", "deployment/video-worker", "--max=5", "--cpu=80%")
    worker = {"deploymentRef": {"name": "video-worker"}}
    await in_cluster.apply(in_cluster.taskqueue("videos", worker=worker))
    sentence = await stalled(in_cluster, "videos", "ScaledByAnother")
    assert "HorizontalPodAutoscaler video-worker scales the Deployment video-worker" in sentence
    in_cluster.publish("videos", 100)
    await in_cluster.run("delete", "hpa", "video-worker")
    await in_cluster.replicas("video-worker", 20)


async def test_only_the_number_of_a_teams_own_deployment_is_written(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    worker = {"deploymentRef": {"name": "video-worker"}}
    await in_cluster.apply(in_cluster.taskqueue("videos", worker=worker))
    sentence = await stalled(in_cluster, "videos", "DeploymentNotFound")
    assert "there is no Deployment video-worker" in sentence
    await in_cluster.apply(own_deployment("video-worker", replicas=0))
    before = await in_cluster.get("deployment", "video-worker")
    in_cluster.publish("videos", 100)
    await in_cluster.replicas("video-worker", 20)
    after = await in_cluster.get("deployment", "video-worker")
    assert before is not None
    assert after is not None
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["spec"] | {"replicas": 0} == before["spec"]
    assert "sluiceway" not in str(after["metadata"].get("annotations", {}))


async def test_what_the_api_server_cannot_check_is_told_by_the_operator_in_the_same_words(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    before = await in_cluster.get("deployment", "exports-worker")
    wrong = [one for one in unseen_by_the_api_server() if one["kind"] == "TaskQueue"]
    assert wrong != []
    for obj in wrong:
        await in_cluster.apply(in_cluster.taskqueue("exports", **obj["spec"]))
        sentence = "; ".join(str(problem) for problem in validate(obj, in_cluster=True))
        await in_cluster.until(
            "taskqueue",
            "exports",
            lambda tq, sentence=sentence: condition(tq, "Stalled").get("message") == sentence,  # type: ignore[misc]
        )
        assert await stalled(in_cluster, "exports", "InvalidSpec") == sentence
    after = await in_cluster.get("deployment", "exports-worker")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]


def unseen_by_the_api_server() -> list[dict[str, Any]]:
    """Objects that it takes and that nobody can make a fleet of."""
    path = REPOSITORY / "tests" / "data" / "objects" / "unseen.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8")).values())


async def test_a_pod_template_that_kubernetes_refuses_is_told_and_the_fleet_kept(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    await in_cluster.condition("exports", "Ready", "True")
    template = {"spec": {"containers": [{"name": "worker", "terminationMessagePolicy": "Loud"}]}}
    worker = {"app": "shop.tasks", "image": "shop:1", "template": template}
    await in_cluster.apply(in_cluster.taskqueue("exports", worker=worker))
    sentence = await stalled(in_cluster, "exports", "WorkloadRefused")
    assert "terminationMessagePolicy" in sentence
    await goes_on(in_cluster, "exports")


async def test_a_deployment_of_somebody_elses_that_has_the_fleets_name_is_left_alone(
    in_cluster: InCluster, start_operator: StartOperator
) -> None:
    await in_cluster.apply(own_deployment("exports-worker"))
    await start_operator()
    await in_cluster.apply(in_cluster.taskqueue("exports"))
    sentence = await stalled(in_cluster, "exports", "DeploymentTaken")
    assert "rename one of the two" in sentence
    in_cluster.publish("exports", 100)
    await in_cluster.apply(in_cluster.taskqueue("emails"))
    await goes_on(in_cluster, "emails")
    await in_cluster.replicas("exports-worker", 1)

"""From a TaskQueue and its class to the Deployment of its workers."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass
from sluiceway.workload.deployment import deployment
from sluiceway.workload.like import Taken
from sluiceway.workload.slots import slots_of

AGENT = "registry.example/sluiceway-agent:1"
UID = "0e5a6d5b-8c1e-4f3c-9f52-5f2d3f1c1a11"


def taskqueue(broker: dict[str, Any] | None = None, **worker: Any) -> TaskQueue:
    image = {} if "like" in worker else {"image": "shop:1"}
    return TaskQueue.from_outside(
        {
            "metadata": {"name": "videos", "namespace": "shop", "uid": UID},
            "spec": {
                "queues": ["videos", "videos-urgent"],
                "broker": broker or {"url": "redis://redis:6379/0"},
                "worker": {"app": "shop.tasks", **image, **worker},
            },
        }
    )


def workerclass(**spec: Any) -> WorkerClass:
    return WorkerClass.from_outside({"metadata": {"name": "high-cpu"}, "spec": spec})


def made(tq: TaskQueue, **given: Any) -> dict[str, Any]:
    return deployment(tq, **{"workerclass": None, "agent_image": AGENT, **given})


def pod(tq: TaskQueue, **given: Any) -> dict[str, Any]:
    spec: dict[str, Any] = made(tq, **given)["spec"]["template"]["spec"]
    return spec


def worker(tq: TaskQueue, **given: Any) -> dict[str, Any]:
    container: dict[str, Any] = pod(tq, **given)["containers"][0]
    return container


def env(tq: TaskQueue, **given: Any) -> dict[str, Any]:
    return {
        one["name"]: one.get("value", one.get("valueFrom")) for one in worker(tq, **given)["env"]
    }


def test_the_taskqueue_owns_the_deployment_and_its_replicas_are_not_spoken_of() -> None:
    manifest = made(taskqueue(), workerclass=workerclass())
    assert manifest["metadata"]["name"] == "videos-worker"
    assert manifest["metadata"]["namespace"] == "shop"
    assert manifest["metadata"]["labels"]["sluiceway.dev/workerclass"] == "high-cpu"
    assert manifest["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "name": "videos",
            "uid": UID,
            "controller": True,
        }
    ]
    assert "replicas" not in manifest["spec"]


def test_a_taskqueue_that_no_api_server_knows_cannot_own_anything() -> None:
    unknown = TaskQueue.from_outside({"metadata": {"name": "videos"}, "spec": {}})
    with pytest.raises(ValueError, match="default/videos has no uid"):
        made(unknown)


def test_a_template_cannot_take_a_pod_out_of_its_fleet() -> None:
    labels = {"sluiceway.dev/taskqueue": "other", "team": "media"}
    spec = made(taskqueue(template={"metadata": {"labels": labels}}))["spec"]
    told = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= told.items()
    assert told["team"] == "media"


def test_a_rollout_never_lowers_the_number_of_workers_that_consume() -> None:
    spec = made(taskqueue())["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    # Ready is who passed the startup probe, and nobody becomes unready by being busy.
    assert "startupProbe" in worker(taskqueue())
    assert "readinessProbe" not in worker(taskqueue())


@pytest.mark.parametrize("agent", ["image", "none"])
def test_a_worker_that_no_probe_asks_is_given_time_to_begin_before_an_old_one_goes(
    agent: str,
) -> None:
    assert made(taskqueue(agent=agent))["spec"]["minReadySeconds"] == 10
    assert "minReadySeconds" not in made(taskqueue())["spec"]


@pytest.mark.parametrize(("longest", "grace"), [("2h", 7230), ("500ms", 31), ("10m", 630)])
def test_a_worker_that_has_to_go_is_given_time_for_its_longest_task(
    longest: str, grace: int
) -> None:
    assert pod(taskqueue(longestTask=longest))["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ({}, ["python", "/sluiceway/launcher/launcher.py", "-A", "shop.tasks", "worker"]),
        (
            {"python": "/venv/bin/python", "entrypoint": ["/entry.sh", "--"]},
            [
                *("/entry.sh", "--", "/venv/bin/python", "/sluiceway/launcher/launcher.py"),
                *("-A", "shop.tasks", "worker"),
            ],
        ),
        ({"agent": "image"}, ["python", "-m", "sluiceway_worker", "-A", "shop.tasks"]),
        ({"agent": "none"}, ["celery", "-A", "shop.tasks", "worker"]),
        (
            {"agent": "none", "python": "python3"},
            ["python3", "-m", "celery", "-A", "shop.tasks", "worker"],
        ),
    ],
)
def test_the_command_follows_from_where_the_agent_is(
    said: dict[str, Any], command: list[str]
) -> None:
    told = worker(taskqueue(**said, pool="threads", concurrency=8))["command"]
    assert told == [*command, "-Q", "videos,videos-urgent", "-P", "threads", "-c", "8"]


def test_kubernetes_replaces_nothing_in_an_applications_name() -> None:
    assert "shop.$$(HOME)" in worker(taskqueue(app="shop.$(HOME)"))["command"]


@pytest.mark.parametrize(
    ("said", "resources", "slots"),
    [
        ({"concurrency": 3}, {"limits": {"cpu": "8"}}, 3),
        ({"pool": "solo"}, {"limits": {"cpu": "8"}}, 1),
        ({}, {"limits": {"cpu": "2500m"}, "requests": {"cpu": "1"}}, 3),
        ({}, {"limits": {"memory": "1Gi"}, "requests": {"cpu": "4"}}, 4),
        ({}, {"requests": {"cpu": "250m"}}, 1),
        ({}, {}, 1),
        ({"pool": "gevent"}, {"limits": {"cpu": "2"}}, 2),
    ],
)
def test_a_worker_has_a_slot_for_each_cpu_that_it_may_use(
    said: dict[str, Any], resources: dict[str, Any], slots: int
) -> None:
    assert slots_of(taskqueue(**said), workerclass(resources=resources)) == slots


@pytest.mark.parametrize(("cpu", "slots"), [("6", 6), (1.5, 2), ("many", 1)])
def test_the_templates_resources_count_before_the_classs(cpu: Any, slots: int) -> None:
    resources = {"limits": {"cpu": cpu}}
    template = {"spec": {"containers": [{"name": "worker", "resources": resources}]}}
    fleet = taskqueue(template=template)
    kind = workerclass(resources={"limits": {"cpu": "2"}})
    assert slots_of(fleet, kind) == slots
    assert worker(fleet, workerclass=kind)["resources"] == resources


def test_a_class_says_where_its_workers_run() -> None:
    toleration = {"key": "pool", "value": "high-cpu", "effect": "NoSchedule"}
    kind = workerclass(
        nodeSelector={"pool": "high-cpu"},
        tolerations=[toleration],
        affinity={"podAntiAffinity": {"a": 1}},
        resources={"limits": {"cpu": "4"}},
        priorityClassName="batch",
        runtimeClassName="gvisor",
    )
    told = pod(taskqueue(), workerclass=kind)
    assert told["nodeSelector"] == {"pool": "high-cpu"}
    assert told["tolerations"] == [toleration]
    assert told["affinity"] == {"podAntiAffinity": {"a": 1}}
    assert told["priorityClassName"] == "batch"
    assert told["runtimeClassName"] == "gvisor"
    assert told["containers"][0]["resources"] == {"limits": {"cpu": "4"}}


def test_a_worker_is_told_under_which_name_sentinels_know_its_broker() -> None:
    sentinels = {"url": "sentinel://a/0", "masterName": "mymaster"}
    assert env(taskqueue(sentinels))["SLUICEWAY_MASTER_NAME"] == "mymaster"
    assert "SLUICEWAY_MASTER_NAME" not in env(taskqueue())


def test_a_worker_is_told_who_it_is() -> None:
    told = env(taskqueue())
    assert told["SLUICEWAY_FLEET"] == "shop/videos"
    assert told["SLUICEWAY_NAME"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert told["SLUICEWAY_POD_UID"]["fieldRef"]["fieldPath"] == "metadata.uid"


@pytest.mark.parametrize(
    ("said", "acks"),
    [
        ({}, "app"),
        ({"acks": "late"}, "late"),
        ({"agent": "image"}, "late"),
        ({"agent": "image", "acks": "early"}, "early"),
        ({"agent": "none"}, None),
    ],
)
def test_an_injected_agent_leaves_acknowledgement_to_the_application(
    said: dict[str, Any], acks: str | None
) -> None:
    assert env(taskqueue(**said)).get("SLUICEWAY_ACKS") == acks


@pytest.mark.parametrize(
    ("broker", "value"),
    [
        ({"url": "redis://redis/0"}, "redis://redis/0"),
        ({"url": "redis://:$(X)@redis/0"}, "redis://:$$(X)@redis/0"),
        (
            {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}},
            {"secretKeyRef": {"name": "redis", "key": "url"}},
        ),
        (
            {"urlFrom": {"configMapKeyRef": {"name": "shop", "key": "broker"}}},
            {"configMapKeyRef": {"name": "shop", "key": "broker"}},
        ),
        ({"urlFrom": {"env": "CELERY_BROKER_URL"}}, None),
    ],
)
def test_the_brokers_address_goes_through_the_environment(
    broker: dict[str, Any], value: Any
) -> None:
    told = env(taskqueue(broker))
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        assert told.get(name) == value


def test_an_injected_agent_is_readable_and_nothing_of_the_image_is_replaced() -> None:
    told = pod(taskqueue())
    (carrier,) = told["initContainers"]
    (container,) = told["containers"]
    assert carrier["image"] == AGENT
    assert {"name": "sluiceway-agent", "mountPath": "/sluiceway", "readOnly": True} in container[
        "volumeMounts"
    ]
    assert "PYTHONPATH" not in env(taskqueue())


@pytest.mark.parametrize("agent", ["image", "none"])
def test_without_injection_nothing_of_ours_is_laid_into_the_pod(agent: str) -> None:
    told = pod(taskqueue(agent=agent))
    assert "initContainers" not in told
    assert [one["name"] for one in told["volumes"]] == ["sluiceway-tmp"]
    assert "livenessProbe" not in told["containers"][0]


TAKEN = Taken(
    container={
        "image": "shop:7",
        "env": [
            {"name": "CELERY_BROKER_URL", "value": "redis://web/0"},
            {"name": "DATABASE", "value": "db"},
        ],
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
        "securityContext": {"runAsUser": 1000},
    },
    pod={
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "serviceAccountName": "shop",
        "securityContext": {"fsGroup": 2000},
    },
)


def test_workers_that_are_like_the_web_run_its_image_in_its_environment() -> None:
    fleet = taskqueue({"urlFrom": {"env": "CELERY_BROKER_URL"}}, like={"name": "web"})
    container = worker(fleet, taken=TAKEN)
    assert container["image"] == "shop:7"
    assert env(fleet, taken=TAKEN)["CELERY_BROKER_URL"] == "redis://web/0"
    assert env(fleet, taken=TAKEN)["DATABASE"] == "db"
    assert {"name": "scratch", "mountPath": "/tmp"} in container["volumeMounts"]
    assert container["securityContext"]["runAsUser"] == 1000
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_workers_that_are_like_the_web_read_its_files_without_its_token() -> None:
    told = pod(taskqueue(like={"name": "web"}), taken=TAKEN)
    assert told["serviceAccountName"] == "shop"
    assert told["automountServiceAccountToken"] is False
    assert told["securityContext"]["fsGroup"] == 2000
    assert told["securityContext"]["runAsNonRoot"] is True


def test_a_broker_that_the_taskqueue_names_counts_before_the_webs() -> None:
    fleet = taskqueue({"url": "redis://redis/1"}, like={"name": "web"})
    assert env(fleet, taken=TAKEN)["CELERY_BROKER_URL"] == "redis://redis/1"

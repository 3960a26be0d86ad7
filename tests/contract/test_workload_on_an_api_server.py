"""The Deployments made of TaskQueues, as a real API server takes them.

The namespace enforces Kubernetes' security profile ``restricted``. A Deployment only
warns of it, so the pod is tried as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass
from sluiceway.workload.birth import BIRTH_MANAGER, held_at_zero, newborn
from sluiceway.workload.deployment import FIELD_MANAGER, deployment
from sluiceway.workload.like import take_after

WEB: dict[str, Any] = {
    "spec": {
        "serviceAccountName": "shop",
        "imagePullSecrets": [{"name": "registry"}],
        "securityContext": {"fsGroup": 2000},
        "volumes": [{"name": "uploads", "emptyDir": {}}, {"name": "proxy", "emptyDir": {}}],
        "containers": [
            {
                "name": "app",
                "image": "registry.example/shop:1.4",
                "env": [{"name": "CELERY_BROKER_URL", "value": "redis://redis:6379/0"}],
                "envFrom": [{"configMapRef": {"name": "shop"}}],
                "volumeMounts": [{"name": "uploads", "mountPath": "/uploads"}],
                "securityContext": {"runAsUser": 1000},
            },
            {"name": "proxy", "image": "registry.example/proxy:1"},
        ],
    }
}

SIDECAR = {
    "name": "logs",
    "image": "registry.example/logs:1",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}

MORE: dict[str, dict[str, Any]] = {
    "agent in the image": {"agent": "image", "acks": "early"},
    "no agent": {"agent": "none", "pool": "solo"},
    "venv and entrypoint": {"python": "/venv/bin/python", "entrypoint": ["/entry.sh", "--"]},
    "sidecar": {
        "template": {
            "metadata": {"annotations": {"note": "kept"}},
            "spec": {
                "containers": [
                    SIDECAR,
                    {"name": "worker", "ports": [{"containerPort": 9000, "name": "metrics"}]},
                ],
                "tolerations": [{"key": "spot", "operator": "Exists"}],
                "volumes": [{"name": "sluiceway-tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            },
        }
    },
    "on another disk": {
        "template": {
            "spec": {
                "volumes": [{"name": "disk", "emptyDir": {"medium": "Memory"}}],
                "containers": [
                    {"name": "worker", "volumeMounts": [{"name": "disk", "mountPath": "/tmp"}]}
                ],
            }
        }
    },
}


def examples() -> Iterator[Any]:
    for path in sorted((MANIFESTS / "examples").glob("*.yaml")):
        for obj in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if obj["kind"] == "TaskQueue" and "app" in obj["spec"]["worker"]:
                yield pytest.param(obj, id=f"{path.stem}-{obj['metadata']['name']}")


def more() -> Iterator[Any]:
    for name, said in MORE.items():
        worker = {"app": "shop.tasks", "image": "registry.example/shop:1.4", **said}
        yield pytest.param(
            {
                "apiVersion": "sluiceway.dev/v1alpha1",
                "kind": "TaskQueue",
                "metadata": {"name": "fleet"},
                "spec": {"broker": {"url": "redis://redis:6379/0"}, "worker": worker},
            },
            id=name,
        )


def classes() -> dict[str, WorkerClass]:
    text = (MANIFESTS / "examples" / "workerclasses.yaml").read_text(encoding="utf-8")
    loaded = [WorkerClass.from_outside(obj) for obj in yaml.safe_load_all(text)]
    return {one.metadata.name: one for one in loaded}


@pytest.fixture(scope="module")
def of_the_platform(control_plane: ControlPlane, tmp_path_factory: Any) -> Iterator[None]:
    """What a platform team has put into the cluster before."""
    kubectl = control_plane.kubectl
    kubectl.run("apply", "--server-side", "--filename", MANIFESTS / "crds")
    kubectl.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    objects = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "batch"},
            "value": -1,
        },
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "gvisor"},
            "handler": "runsc",
        },
    ]
    file: Path = tmp_path_factory.mktemp("platform") / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    kubectl.run("apply", "--filename", file)
    yield
    kubectl.run("delete", "--filename", file)


@pytest.fixture
def restricted(of_the_platform: None, namespace: Namespace) -> Namespace:
    """A namespace that takes nothing but pods of the profile."""
    kubectl = namespace.kubectl
    kubectl.run(
        *("label", "namespace", namespace.name),
        *(
            "pod-security.kubernetes.io/enforce=restricted",
            "pod-security.kubernetes.io/warn=restricted",
        ),
    )
    kubectl.run("create", "serviceaccount", "shop")
    kubectl.run("wait", "serviceaccount/default", "--for=create", "--timeout=30s")
    return namespace


def made(namespace: Namespace, body: dict[str, Any]) -> dict[str, Any]:
    """The Deployment of a TaskQueue that the API server has taken."""
    here = {**body, "metadata": {"name": body["metadata"]["name"], "namespace": namespace.name}}
    namespace.kubectl.apply(json.dumps(here))
    stored = namespace.kubectl.get("taskqueue", body["metadata"]["name"])
    stored.pop("status", None)
    taskqueue = TaskQueue.from_outside(stored)
    worker = taskqueue.spec.worker
    return deployment(
        taskqueue,
        workerclass=classes()[worker.class_name or "light"],
        agent_image="registry.example/sluiceway-agent:0.1.0",
        taken=take_after(worker.like, WEB) if worker.like is not None else None,
    )


def apply(kubectl: Kubectl, manifest: dict[str, Any], manager: str = FIELD_MANAGER) -> str:
    """Server-side apply; what it warned of."""
    outcome = kubectl.try_run(
        *("apply", "--server-side", f"--field-manager={manager}", "--filename=-"),
        stdin=json.dumps(manifest),
    )
    assert outcome.code == 0, outcome.stderr
    return outcome.stderr


def stored(kubectl: Kubectl, manifest: dict[str, Any]) -> dict[str, Any]:
    return kubectl.get("deployment", manifest["metadata"]["name"])


@pytest.mark.parametrize("body", [*examples(), *more()])
def test_a_restricted_namespace_takes_it_and_a_second_apply_changes_nothing(
    body: dict[str, Any], restricted: Namespace
) -> None:
    kubectl = restricted.kubectl
    manifest = made(restricted, body)

    assert apply(kubectl, manifest) == ""
    template = manifest["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "tried"}
    kubectl.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))

    before = stored(kubectl, manifest)
    apply(kubectl, manifest)
    after = stored(kubectl, manifest)
    assert after["metadata"]["generation"] == before["metadata"]["generation"] == 1
    assert after["spec"] == before["spec"]


def test_a_deployment_is_born_without_workers_and_keeps_the_number_that_scale_says(
    restricted: Namespace,
) -> None:
    kubectl = restricted.kubectl
    body = next(more()).values[0]
    manifest = made(restricted, body)

    apply(kubectl, newborn(manifest))
    apply(kubectl, held_at_zero(manifest), BIRTH_MANAGER)
    for _ in range(2):
        apply(kubectl, manifest)
        assert stored(kubectl, manifest)["spec"]["replicas"] == 0

    kubectl.run("scale", f"deployment/{manifest['metadata']['name']}", "--replicas=3")
    apply(kubectl, manifest)
    assert stored(kubectl, manifest)["spec"]["replicas"] == 3


def test_what_a_taskqueue_no_longer_says_is_gone_from_its_deployment(
    restricted: Namespace,
) -> None:
    kubectl = restricted.kubectl
    body = next(examples()).values[0]
    apply(kubectl, made(restricted, body))
    body = {**body, "spec": {**body["spec"], "worker": {**body["spec"]["worker"]}}}
    for member in ("template", "className", "python", "entrypoint"):
        body["spec"]["worker"].pop(member, None)

    manifest = made(restricted, body)
    apply(kubectl, manifest)
    pod = stored(kubectl, manifest)["spec"]["template"]["spec"]
    assert [one["name"] for one in pod["volumes"]] == ["sluiceway-tmp", "sluiceway-agent"]
    assert pod["nodeSelector"] == {"pool": "light"}
    assert "priorityClassName" not in pod


def test_the_namespace_really_refuses_a_pod_that_may_be_root(restricted: Namespace) -> None:
    manifest = made(restricted, next(more()).values[0])
    spec = {**manifest["spec"]["template"]["spec"], "securityContext": {}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
    outcome = restricted.kubectl.try_run(
        *("create", "--dry-run=server", "--filename=-"), stdin=json.dumps(pod)
    )
    assert "violates PodSecurity" in outcome.stderr
    assert "runAsNonRoot" in outcome.stderr

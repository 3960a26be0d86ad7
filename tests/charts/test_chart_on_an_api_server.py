"""A real API server takes all that the charts make, and Helm takes it in and out again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from charting import monitoring_crds
from charting.app_sets import APP_SETS
from charting.helm import NAMESPACE, RELEASE, Helm, RefusedError
from charting.paths import APP, CHART, CRDS
from charting.sets import HIGH_CPU, SETS
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl

CRD_NAMES = tuple(path.stem for path in sorted(CRDS.glob("*.yaml")))
KINDS = (
    "serviceaccount,service,deployment,statefulset,poddisruptionbudget,networkpolicy,role,"
    "rolebinding,clusterrole,clusterrolebinding,configmap,secret,ingress,horizontalpodautoscaler,"
    "taskqueue"
)
CASES = [
    pytest.param(chart, values, id=f"{chart.name}: {name}")
    for chart, sets in ((CHART, SETS), (APP, APP_SETS))
    for name, values in sets.items()
]


def as_list(objects: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def belonging_to(release: str, kubectl: Kubectl) -> set[tuple[str, str]]:
    """(kind, name) of what belongs to a release, in whichever namespace."""
    listed = kubectl.items(
        KINDS, "--all-namespaces", f"--selector=app.kubernetes.io/instance={release}"
    )
    return {(one["kind"], one["metadata"]["name"]) for one in listed}


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """Namespaces, our CRDs and stand-ins for others'; the CRDs go again."""
    kubectl = control_plane.kubectl
    for name in (NAMESPACE, "shop", "payments", "monitoring"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
        kubectl.apply(json.dumps(namespace))
    kubectl.run("wait", "serviceaccount/default", "--for=create", f"--namespace={NAMESPACE}")
    kubectl.apply(as_list(monitoring_crds.crds()))
    # As Helm makes them: without what client-side apply remembers, which would be warned of.
    kubectl.run("delete", "crd", *CRD_NAMES, "--ignore-not-found")
    kubectl.run("create", "--filename", CRDS)
    kubectl.run("wait", "crd", "--all", "--for=condition=Established")
    yield kubectl
    stand_ins = [one["metadata"]["name"] for one in monitoring_crds.crds()]
    kubectl.run("delete", "crd", *CRD_NAMES, *stand_ins, "--ignore-not-found")


@pytest.fixture(scope="module")
def taken() -> set[str]:
    """Objects that the API server has taken already: most are the same in most sets."""
    return set()


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_an_api_server_takes_every_object_without_a_warning(
    helm: Helm, kubectl: Kubectl, taken: set[str], chart: Path, values: dict[str, Any]
) -> None:
    objects = {json.dumps(one): one for one in helm.render(chart, values).objects}
    new = [one for text, one in objects.items() if text not in taken]
    for one in new:
        if one["kind"] == "Pod":
            # A pod's account is looked for, and a dry run makes none.
            one["spec"].pop("serviceAccountName", None)
    if not new:
        return
    outcome = kubectl.try_run(
        *("apply", "--server-side", "--dry-run=server", "--force-conflicts", "--filename=-"),
        stdin=as_list(new),
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    assert len(outcome.stdout.splitlines()) == len(new)
    taken |= objects.keys()


def pods_of(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pods that an object stands for."""
    if one["kind"] == "Pod":
        yield one
    elif one["kind"] in ("Deployment", "StatefulSet"):
        pod = {"apiVersion": "v1", "kind": "Pod", **one["spec"]["template"]}
        claims = one["spec"].get("volumeClaimTemplates", ())
        volumes = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
        pod["spec"]["volumes"] = pod["spec"].get("volumes", []) + volumes
        yield pod


def test_all_pods_pass_pod_security_restricted(helm: Helm, kubectl: Kubectl) -> None:
    pods = [
        pod
        for chart, sets in ((CHART, SETS), (APP, APP_SETS))
        for values in sets.values()
        for one in helm.render(chart, values).objects
        for pod in pods_of(one)
    ]
    for number, pod in enumerate(pods):
        pod["metadata"] = {"name": f"pod-{number}"}
        # Of a pod by itself the API server looks for its account and its class.
        for field in ("serviceAccountName", "priorityClassName"):
            pod["spec"].pop(field, None)
    kubectl.within(NAMESPACE).run("create", "--dry-run=server", "--filename=-", stdin=as_list(pods))


def install_from_nothing(helm: Helm, kubeconfig: Path, values: dict[str, Any]) -> None:
    """Without nodes Helm cannot wait for all that it made, as the guide has it (``--wait``).

    So the API server may not serve the CRDs yet when Helm comes to the classes.
    """
    options = {"wait": "hookOnly", "timeout": 60}
    try:
        helm.do(kubeconfig, "install", str(CHART), RELEASE, values, **options)
    except RefusedError as refused:
        if "ensure CRDs are installed first" not in str(refused):
            raise
        helm.do(kubeconfig, "uninstall", RELEASE, timeout=60)
        helm.do(kubeconfig, "install", str(CHART), RELEASE, values, **options)


def test_installed_upgraded_rolled_back_and_uninstalled(
    helm: Helm, control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    kubectl.run("delete", "crd", *CRD_NAMES)
    kubeconfig = kubectl.kubeconfig
    values = {"workerClasses": {"high-cpu": HIGH_CPU}, "metrics": {"monitor": {"enabled": True}}}

    # From nothing: the CRDs, and a class that needs them.
    install_from_nothing(helm, kubeconfig, values)
    assert kubectl.get("workerclass", "high-cpu")["spec"]["nodeSelector"] == {"pool": "high-cpu"}
    assert ("Deployment", "sluiceway") in belonging_to(RELEASE, kubectl)
    assert kubectl.within(NAMESPACE).items("servicemonitors.monitoring.coreos.com")
    uid = kubectl.get("workerclass", "high-cpu")["metadata"]["uid"]

    # A TaskQueue of a user's lives through all that follows.
    queue = {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "exports", "namespace": "shop"},
        "spec": {
            "broker": {"url": "redis://redis:6379/0"},
            "worker": {"app": "tasks", "image": "shop:1", "className": "high-cpu"},
            "scaling": {"maxReplicas": 8, "target": {"maxWait": "30s"}},
        },
    }
    kubectl.apply(json.dumps(queue))
    queue_uid = kubectl.within("shop").get("taskqueue", "exports")["metadata"]["uid"]

    # An upgrade takes the class over, in place, and changes it.
    changed = {"workerClasses": {"high-cpu": HIGH_CPU | {"nodeSelector": {"pool": "cpu"}}}}
    helm.do(kubeconfig, "upgrade", str(CHART), RELEASE, changed | {"replicaCount": 3}, timeout=60)
    upgraded = kubectl.get("workerclass", "high-cpu")
    assert upgraded["metadata"]["uid"] == uid
    assert upgraded["spec"]["nodeSelector"] == {"pool": "cpu"}
    assert kubectl.within(NAMESPACE).get("deployment", "sluiceway")["spec"]["replicas"] == 3

    helm.do(kubeconfig, "rollback", RELEASE, version=1, timeout=60)
    assert kubectl.within(NAMESPACE).get("deployment", "sluiceway")["spec"]["replicas"] == 2

    # What users made stays, and what it needs; nothing else does.
    helm.do(kubeconfig, "uninstall", RELEASE, timeout=60)
    assert belonging_to(RELEASE, kubectl) == set()
    assert kubectl.within("shop").get("taskqueue", "exports")["metadata"]["uid"] == queue_uid
    assert kubectl.get("workerclass", "high-cpu")["metadata"]["uid"] == uid

    # And an installation of the same name takes them over again.
    helm.do(kubeconfig, "install", str(CHART), RELEASE, values, wait="hookOnly", timeout=60)
    assert kubectl.get("workerclass", "high-cpu")["metadata"]["uid"] == uid
    helm.do(kubeconfig, "uninstall", RELEASE, timeout=60)


def test_an_application_is_installed_upgraded_rolled_back_and_uninstalled(
    helm: Helm, kubectl: Kubectl
) -> None:
    kubectl.run("delete", "crd", *CRD_NAMES, "--ignore-not-found")
    kubectl.run("create", "--filename", CRDS)
    kubectl.run("wait", "crd", *CRD_NAMES, "--for=condition=Established")
    kubeconfig, namespace = kubectl.kubeconfig, kubectl.within(NAMESPACE)
    guide = APP_SETS["the whole guide"]

    helm.do(kubeconfig, "install", str(APP), "shop", guide, timeout=60)
    assert {("TaskQueue", "exports"), ("StatefulSet", "shop-beat"), ("Deployment", "shop-web")} <= (
        belonging_to("shop", kubectl)
    )

    # A release changes the image everywhere, and a queue that is no longer named goes.
    released = guide | {"image": {"repository": "shop", "tag": "2"}, "taskQueues": {}}
    helm.do(kubeconfig, "upgrade", str(APP), "shop", released, timeout=60)
    queues = {one["metadata"]["name"]: one for one in namespace.items("taskqueues")}
    assert {name: one["spec"]["worker"]["image"] for name, one in queues.items()} == {
        "celery": "shop:2"
    }

    helm.do(kubeconfig, "rollback", "shop", version=1, timeout=60)
    back = {one["metadata"]["name"] for one in namespace.items("taskqueues")}
    assert back == {"celery", "emails", "exports"}

    helm.do(kubeconfig, "uninstall", "shop", timeout=60)
    assert belonging_to("shop", kubectl) == set()

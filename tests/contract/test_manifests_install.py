"""What `kubectl apply -k` installs: an API server takes it, and it grants what it says."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS, REPOSITORY

BASE = MANIFESTS / "base"
NAMESPACED = MANIFESTS / "overlays" / "namespaced"
ALL = (BASE, *sorted((MANIFESTS / "overlays").iterdir()))
ACCOUNT = "system:serviceaccount:sluiceway-system:sluiceway"
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}

Objects = dict[tuple[str, str], dict[str, Any]]


def rendered(kubectl: Kubectl, folder: Any) -> Objects:
    """(kind, name) → object, as kustomize makes them."""
    text = kubectl.run("kustomize", folder)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def allowed(kubectl: Kubectl, *question: str, user: str = ACCOUNT) -> bool:
    return kubectl.try_run("auth", "can-i", *question, f"--as={user}").stdout.strip() == "yes"


def warnings_of(kubectl: Kubectl, objects: Objects) -> str:
    """What an API server says to them, without keeping any but their namespaces."""
    for (kind, _), one in objects.items():
        if kind == "Namespace":
            kubectl.apply(json.dumps(one))
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects.values())}
    outcome = kubectl.try_run(
        *("apply", "--dry-run=server", "--filename=-"), stdin=json.dumps(listed)
    )
    assert outcome.code == 0, outcome.stderr
    return outcome.stderr


@pytest.fixture(scope="module")
def crds(control_plane: ControlPlane) -> None:
    """Only of a resource that it serves can an API server be asked who may use it."""
    control_plane.kubectl.run("apply", "--filename", MANIFESTS / "crds")
    control_plane.kubectl.run("wait", "crd", "--all", "--for=condition=Established")


@pytest.fixture(params=ALL, ids=lambda folder: folder.name)
def objects(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Objects:
    return rendered(control_plane.kubectl, request.param)


def test_an_api_server_takes_all_of_it_without_a_warning(
    objects: Objects, control_plane: ControlPlane
) -> None:
    control_plane.kubectl.apply(json.dumps(SHOP))
    assert warnings_of(control_plane.kubectl, objects) == ""


def test_the_operators_pod_may_run_in_the_namespace_that_it_brings(
    objects: Objects, control_plane: ControlPlane
) -> None:
    control_plane.kubectl.apply(json.dumps(objects["Namespace", "sluiceway-system"]))
    namespace = control_plane.kubectl.within("sluiceway-system")
    namespace.run("wait", "serviceaccount/default", "--for=create", "--timeout=30s")
    namespace.apply(json.dumps(objects["ServiceAccount", "sluiceway"]))
    template = objects["Deployment", "sluiceway"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "tried"}
    namespace.run("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))


def test_the_guides_kustomization_names_the_images_of_ones_own_registry(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    guide = (REPOSITORY / "docs" / "how-to" / "run-on-kubernetes.md").read_text("utf-8")
    written = guide.split("# kustomization.yaml\n")[1].split("```")[0]
    (tmp_path / "kustomization.yaml").write_text(written)
    shutil.copytree(MANIFESTS, tmp_path / "sluiceway" / "manifests")
    made = rendered(control_plane.kubectl, tmp_path)
    (operator,) = made["Deployment", "sluiceway"]["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == "registry.example/sluiceway:0.1.0"
    assert "--agent-image=registry.example/sluiceway-agent:0.1.0" in operator["args"]


def test_what_runs_is_what_the_dockerfile_makes(objects: Objects) -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    version = dockerfile.split("ARG VERSION=")[1].split()[0]
    (operator,) = objects["Deployment", "sluiceway"]["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == f"sluiceway:{version}"
    assert f"--agent-image=sluiceway-agent:{version}" in operator["args"]


def test_for_one_namespace_the_verbs_are_the_same_and_hold_there_only(
    crds: None,
    control_plane: ControlPlane,
) -> None:
    kubectl = control_plane.kubectl
    everywhere, one = rendered(kubectl, BASE), rendered(kubectl, NAMESPACED)
    assert one["Role", "sluiceway"]["rules"] == everywhere["ClusterRole", "sluiceway"]["rules"]
    assert ("ClusterRole", "sluiceway") not in one

    kubectl.apply(json.dumps(SHOP))
    rights = [
        body
        for (kind, _), body in one.items()
        if kind.endswith(("Role", "RoleBinding", "ServiceAccount"))
    ]
    kubectl.apply(json.dumps(everywhere["Namespace", "sluiceway-system"]))
    kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": rights}))
    shop, system = kubectl.within("shop"), kubectl.within("sluiceway-system")
    try:
        assert allowed(shop, "patch", "deployments.apps", "--subresource=scale")
        assert allowed(shop, "get", "secrets")
        assert not allowed(kubectl.within("default"), "get", "secrets")
        assert not allowed(shop, "list", "secrets")
        assert allowed(kubectl, "list", "workerclasses.sluiceway.dev")
        assert allowed(system, "patch", "leases.coordination.k8s.io/sluiceway")
        assert not allowed(system, "patch", "leases.coordination.k8s.io/another")
    finally:
        kubectl.run(
            *("delete", "--filename=-", "--wait=false"),
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": rights}),
        )


def test_a_namespaces_editors_may_edit_its_taskqueues_and_its_viewers_may_not(
    crds: None, control_plane: ControlPlane, namespace: Namespace
) -> None:
    kubectl = control_plane.kubectl
    objects = rendered(kubectl, BASE)
    for name in ("edit", "view"):
        kubectl.apply(json.dumps(objects["ClusterRole", f"sluiceway-{name}"]))
        namespace.kubectl.run(
            "create", "rolebinding", name, f"--clusterrole={name}", f"--user={name}"
        )

    def may(user: str, verb: str) -> bool:
        return allowed(namespace.kubectl, verb, "taskqueues.sluiceway.dev", user=user)

    # A controller adds the rules to Kubernetes' own roles after a moment.
    deadline = time.monotonic() + 60
    while not (may("edit", "create") and may("view", "get")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [may("edit", verb) for verb in ("delete", "watch")] == [True, True]
    assert [may("view", verb) for verb in ("create", "delete", "watch")] == [False, False, True]

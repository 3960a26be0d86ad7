"""manifests/gitops: what Argo CD and Flux are told holds together, and their checks judge rightly.

Neither tool's CRDs are here, so of their objects the structure is looked at: each field that
is used, by the name that its documentation gives it. TaskQueues and WorkerClasses go to a
real API server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charting.health import HEALTH_LUA, argo_health, flux_health
from charting.helm import Helm
from charting.paths import ARGOCD, CHART, CRDS, FLUX, OVERLAYS, ROOT
from testcluster.control_plane import ControlPlane

CASES = yaml.safe_load((HEALTH_LUA.parent / "health_test.yaml").read_text(encoding="utf-8"))[
    "tests"
]
FLUX_SAYS = {
    "Progressing": "InProgress",
    "Healthy": "Current",
    "Suspended": "Current",
    "Degraded": "Failed",
}
WAVE = "argocd.argoproj.io/sync-wave"
KNOWN_FIELDS = {
    "Application": {
        *("destination.namespace", "destination.server", "project", "source.helm.releaseName"),
        *("source.helm.valuesObject", "source.path", "source.repoURL", "source.targetRevision"),
        *("syncPolicy.automated.prune", "syncPolicy.automated.selfHeal"),
        *("syncPolicy.managedNamespaceMetadata.labels", "syncPolicy.syncOptions"),
        *("syncPolicy.retry.limit", "syncPolicy.retry.backoff.duration"),
        *("syncPolicy.retry.backoff.factor", "syncPolicy.retry.backoff.maxDuration"),
    },
    "GitRepository": {"interval", "ref.tag", "url"},
    "Kustomization": {
        *("dependsOn", "healthCheckExprs", "healthChecks", "interval", "path", "prune"),
        *("sourceRef.kind", "sourceRef.name", "targetNamespace", "timeout", "wait"),
    },
    "HelmRelease": {
        *("chart.spec.chart", "chart.spec.reconcileStrategy", "chart.spec.sourceRef.kind"),
        *("chart.spec.sourceRef.name", "chart.spec.sourceRef.namespace", "driftDetection.mode"),
        *("install.remediation.retries", "interval", "releaseName", "values"),
        "upgrade.remediation.retries",
    },
}
WHOLE = {"valuesObject", "values", "labels"}


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def theirs() -> list[Any]:
    """The objects of Argo CD's and Flux' own kinds."""
    return [
        pytest.param(one, id=f"{path.parent.name}/{path.name}")
        for folder in (ARGOCD, FLUX)
        for path in sorted(folder.rglob("*.yaml"))
        if "resource_customizations" not in path.parts
        for one in documents(path)
        if "argoproj.io" in one.get("apiVersion", "") or "fluxcd.io" in one.get("apiVersion", "")
    ]


def fields(node: dict[str, Any], within: str = "") -> set[str]:
    found: set[str] = set()
    for name, item in node.items():
        deeper = isinstance(item, dict) and name not in WHOLE
        found |= fields(item, f"{within}{name}.") if deeper else {within + name}
    return found


@pytest.mark.parametrize("case", CASES, ids=[Path(case["inputPath"]).stem for case in CASES])
def test_health_lua_judges_as_its_test_file_says_and_flux_judges_alike(
    case: dict[str, Any],
) -> None:
    (obj,) = documents(HEALTH_LUA.parent / case["inputPath"])
    expected = case["healthStatus"]
    assert argo_health(obj) == (expected["status"], expected["message"])
    assert flux_health(obj) == FLUX_SAYS[expected["status"]]


def test_every_object_that_was_recorded_has_a_case() -> None:
    recorded = {path.name for path in (HEALTH_LUA.parent / "testdata").glob("*.yaml")}
    assert {Path(case["inputPath"]).name for case in CASES} == recorded


def test_the_config_map_holds_the_script_as_it_is() -> None:
    (config,) = documents(ARGOCD / "argocd-cm.yaml")
    (script,) = config["data"].values()
    assert list(config["data"]) == ["resource.customizations.health.sluiceway.dev_TaskQueue"]
    assert script == HEALTH_LUA.read_text(encoding="utf-8")


@pytest.mark.parametrize("obj", theirs())
def test_their_objects_use_fields_that_there_are(obj: dict[str, Any]) -> None:
    assert fields(obj["spec"]) <= KNOWN_FIELDS[obj["kind"]]
    assert obj["metadata"].keys() <= {"name", "namespace", "finalizers"}


@pytest.mark.parametrize("obj", theirs())
def test_what_they_point_at_is_in_the_repository(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    paths = {
        "Application": lambda: spec["source"]["path"],
        "Kustomization": lambda: spec["path"],
        "HelmRelease": lambda: spec["chart"]["spec"]["chart"],
    }
    if (path := paths.get(obj["kind"])) is not None:
        assert (ROOT / path()).is_dir()


def test_the_values_in_git_are_taken_by_the_chart(helm: Helm) -> None:
    (application,) = documents(ARGOCD / "operator.yaml")
    (release,) = documents(FLUX / "platform" / "release.yaml")
    values = application["spec"]["source"]["helm"]["valuesObject"]
    assert values == release["spec"]["values"]
    (container,) = helm.render(CHART, values).one("Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == "registry.example/sluiceway:0.1.0"


def test_classes_come_before_queues_and_queues_before_the_web(control_plane: ControlPlane) -> None:
    made = yaml.safe_load_all(control_plane.kubectl.run("kustomize", ARGOCD / "shop"))
    waves = {one["kind"]: int(one["metadata"]["annotations"][WAVE]) for one in made}
    assert sorted(waves, key=waves.__getitem__) == ["WorkerClass", "TaskQueue", "Deployment"]
    assert len(set(waves.values())) == 3


def test_no_number_of_workers_stands_in_git_so_nothing_is_to_be_ignored() -> None:
    for path in (*ARGOCD.rglob("*.yaml"), *FLUX.rglob("*.yaml")):
        if path.parent.name != "testdata":
            text = path.read_text(encoding="utf-8")
            assert "replicas:" not in text
            assert "ignore" not in text.replace("Nothing is ignored", "")


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with our definitions, and the namespace that is meant."""
    kubectl = control_plane.kubectl
    kubectl.run("apply", "--filename", CRDS)
    kubectl.run("wait", "crd", "--all", "--for=condition=Established")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    kubectl.apply(json.dumps(namespace))
    # A pod template that breaks the profile is warned of, and a warning fails below.
    label = ("label", "namespace", "shop", "--overwrite")
    kubectl.run(*label, "pod-security.kubernetes.io/warn=restricted")
    yield control_plane
    kubectl.run(*label, "pod-security.kubernetes.io/warn-")


@pytest.mark.parametrize("folder", [ARGOCD / "shop", FLUX / "shop"], ids=["argocd", "flux"])
def test_an_api_server_takes_an_applications_folder_without_a_warning(
    served: ControlPlane, folder: Path
) -> None:
    kubectl = served.kubectl.within("shop")
    outcome = kubectl.try_run(
        *("apply", "--dry-run=server", "--filename=-"), stdin=kubectl.run("kustomize", folder)
    )
    assert (outcome.code, outcome.stderr) == (0, "")


def test_flux_brings_the_queues_after_the_operator(served: ControlPlane) -> None:
    made = yaml.safe_load_all(served.kubectl.run("kustomize", FLUX))
    by_name = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in made}
    assert by_name.keys() == {
        ("GitRepository", "sluiceway"),
        ("Kustomization", "sluiceway"),
        ("Kustomization", "shop"),
    }
    assert by_name["Kustomization", "shop"]["dependsOn"] == [{"name": "sluiceway"}]
    assert by_name["Kustomization", "sluiceway"]["wait"] is True


def test_for_high_availability_no_two_replicas_of_a_generation_share_a_node(
    served: ControlPlane,
) -> None:
    text = served.kubectl.run("kustomize", OVERLAYS / "high-availability")
    (deployment,) = [one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 3
    (rule,) = pod["affinity"]["podAntiAffinity"].values()
    assert [term["topologyKey"] for term in rule] == ["kubernetes.io/hostname"]
    assert (
        "preferredDuringSchedulingIgnoredDuringExecution" not in pod["affinity"]["podAntiAffinity"]
    )

"""What the chart makes of values: each switch does what its comment says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from charting.helm import Helm, Rendered
from charting.paths import CHART, ROOT
from charting.sets import DIGEST, HIGH_CPU, SETS

from sluiceway.api.validate import judge

CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "WorkerClass",
}
USERS_OWN = {"of-sluiceway", "text"}


def pod(rendered: Rendered) -> dict[str, Any]:
    return dict(rendered.one("Deployment")["spec"]["template"]["spec"])


def container(rendered: Rendered) -> dict[str, Any]:
    (found,) = pod(rendered)["containers"]
    return dict(found)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_object_is_named_placed_and_labelled_once(helm: Helm, values: dict[str, Any]) -> None:
    rendered = helm.render(CHART, values)
    places = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in rendered.objects
    ]
    assert len(places) == len(set(places))
    for one in rendered.objects:
        meta = one["metadata"]
        assert ("namespace" in meta) == (one["kind"] not in CLUSTER_WIDE)
        if meta["name"] in USERS_OWN:
            continue
        assert meta["labels"]["app.kubernetes.io/instance"] == "sluiceway"
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        for name, value in values.get("commonLabels", {}).items():
            assert meta["labels"][name] == value
        for name, value in values.get("commonAnnotations", {}).items():
            assert meta["annotations"][name] == value


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_every_selector_finds_the_operators_pods_and_they_never_change_with_the_version(
    helm: Helm, values: dict[str, Any]
) -> None:
    rendered = helm.render(CHART, values)
    template = rendered.one("Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"]
    selectors = [
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        *(one["spec"]["selector"]["matchLabels"] for one in rendered.all("PodDisruptionBudget")),
        *(one["spec"]["podSelector"]["matchLabels"] for one in rendered.all("NetworkPolicy")),
        *(one["spec"]["selector"]["matchLabels"] for one in rendered.all("PodMonitor")),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()
    # The test's pod is none of the operator's.
    tried = rendered.one("Pod")["metadata"]["labels"]
    assert not any(selector.items() <= tried.items() for selector in selectors)
    for monitor in rendered.all("ServiceMonitor"):
        found = rendered.one("Service")["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= found.items()


def test_an_image_is_named_by_its_digest_where_one_is_given(helm: Helm) -> None:
    rendered = helm.render(CHART, SETS["digests"])
    assert container(rendered)["image"] == f"sluiceway@{DIGEST}"
    assert f"--agent-image=sluiceway-agent@{DIGEST}" in container(rendered)["args"]
    (test,) = rendered.one("Pod")["spec"]["containers"]
    assert test["image"] == f"sluiceway@{DIGEST}"


def test_the_images_are_those_that_the_dockerfile_makes(helm: Helm) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    version = dockerfile.split("ARG VERSION=")[1].split()[0]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == chart["version"] == version
    assert container(helm.render(CHART))["image"] == f"sluiceway:{version}"


def test_pull_secrets_serve_the_operator_and_the_test(helm: Helm) -> None:
    rendered = helm.render(CHART, SETS["a registry"])
    assert pod(rendered)["imagePullSecrets"] == [{"name": "registry"}]
    assert rendered.one("Pod")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert container(rendered)["image"] == "registry.example:5000/team/sluiceway:1.2.3-rc.1"


def test_what_is_added_stands_beside_what_the_operator_needs(helm: Helm) -> None:
    added = container(helm.render(CHART, SETS["arguments and environment"] | SETS["volumes"]))
    own = ["POD_NAME", "POD_NAMESPACE", "DEPLOYMENT_NAME"]
    assert [one["name"] for one in added["env"]] == [*own, "HTTPS_PROXY"]
    assert added["args"][-1] == "--address=0.0.0.0:8080"
    assert [one["mountPath"] for one in added["volumeMounts"]] == ["/tmp", "/etc/ssl/ca"]


def test_replicas_are_spread_by_their_own_labels_unless_told_otherwise(helm: Helm) -> None:
    for constraint in pod(helm.render(CHART))["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == (
            "operator"
        )
    (own,) = pod(helm.render(CHART, SETS["a spread of one's own"]))["topologySpreadConstraints"]
    assert own["labelSelector"] == {
        "matchLabels": {"rack": "yes"} | own["labelSelector"]["matchLabels"]
    }


def test_nothing_in_a_pod_but_health_and_metrics_can_be_reached(helm: Helm) -> None:
    policy = helm.render(CHART).one("NetworkPolicy")["spec"]
    assert policy == {
        "podSelector": policy["podSelector"],
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
    }


def test_in_a_closed_network_helm_test_still_comes_in_and_brokers_are_reached(helm: Helm) -> None:
    rendered = helm.render(CHART, SETS["a closed network"])
    policy = rendered.one("NetworkPolicy")["spec"]
    test, monitoring = policy["ingress"][0]["from"]
    labels = rendered.one("Pod")["metadata"]["labels"]
    assert test["podSelector"]["matchLabels"].items() <= labels.items()
    assert "namespaceSelector" in monitoring
    dns, tcp, extra = policy["egress"]
    assert {one["port"] for one in dns["ports"]} == {53}
    assert [one["port"] for one in tcp["ports"]] == [6443, 26379]
    assert extra["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def test_worker_classes_come_after_the_crds_that_the_same_release_brings(helm: Helm) -> None:
    hooked = helm.render(CHART, SETS["worker classes"]).one("WorkerClass", "high-cpu")
    plain = helm.render(CHART, SETS["worker classes, CRDs by somebody else"]).one("WorkerClass")
    assert hooked["spec"] == plain["spec"] == HIGH_CPU
    assert hooked["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    assert "helm.sh/hook" not in plain["metadata"]["annotations"]
    # TaskQueues that stay after an uninstall name them.
    for one in (hooked, plain):
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_crds_go_with_the_release_only_where_that_is_asked_for(helm: Helm) -> None:
    rendered = helm.render(CHART, SETS["CRDs that go with the release"])
    for crd in rendered.all("CustomResourceDefinition"):
        assert "annotations" not in crd["metadata"]
    assert helm.render(CHART, SETS["CRDs by somebody else"]).all("CustomResourceDefinition") == []


def test_a_dashboard_goes_where_grafana_looks(helm: Helm) -> None:
    meta = helm.render(CHART, SETS["a dashboard"]).one("ConfigMap")["metadata"]
    assert meta["namespace"] == "monitoring"
    assert meta["labels"]["grafana_dashboard"] == "1"
    assert meta["labels"]["grafana"] == "yes"
    assert meta["annotations"] == {"grafana_folder": "Celery"}


def test_more_objects_may_use_the_templates_language(helm: Helm) -> None:
    names = {
        one["metadata"]["name"] for one in helm.render(CHART, SETS["more objects"]).all("ConfigMap")
    }
    assert names == USERS_OWN


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_the_notes_say_what_to_do_next(helm: Helm, values: dict[str, Any]) -> None:
    notes = helm.render(CHART, values).notes
    assert "helm test sluiceway -n sluiceway-system" in notes
    assert "kind: TaskQueue" in notes
    assert ("workerClasses:" in notes) == ("workerClasses" not in values)
    assert ("dryRun is on" in notes) == values.get("dryRun", False)
    assert ("rbac.create is off" in notes) == (not values.get("rbac", {}).get("create", True))
    assert ("crds.install is off" in notes) == (not values.get("crds", {}).get("install", True))


def test_the_taskqueue_in_the_notes_is_a_valid_one(helm: Helm) -> None:
    notes = helm.render(CHART, {"watchNamespaces": ["payments"]}).notes
    text = notes[notes.index("   apiVersion: sluiceway.dev") : notes.index("4. ")]
    written = yaml.safe_load("\n".join(line[3:] for line in text.splitlines()))
    assert written["metadata"]["namespace"] == "payments"
    assert judge(written, in_cluster=True).problems == ()


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "queues"}])
def test_the_lease_can_belong_to_the_deployment(helm: Helm, values: dict[str, Any]) -> None:
    made = helm.render(CHART, values)
    (deployment,) = made.all("Deployment")
    name = deployment["metadata"]["name"]
    assert {"name": "DEPLOYMENT_NAME", "value": name} in container(made)["env"]
    (role,) = [one for one in made.all("Role") if one["metadata"]["name"] == f"{name}-lease"]
    assert role["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    (rule,) = [one for one in role["rules"] if one["resources"] == ["deployments"]]
    assert (rule["resourceNames"], rule["verbs"]) == ([name], ["get"])

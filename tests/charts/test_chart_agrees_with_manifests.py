"""The chart and `kubectl apply -k manifests/base` install the same operator."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import yaml
from charting.helm import Helm
from charting.paths import BASE, CHART, CRDS
from charting.sets import SETS

KEEP = "helm.sh/resource-policy"


def base(file: str, kind: str, name: str = "sluiceway") -> dict[str, Any]:
    documents = yaml.safe_load_all((BASE / file).read_text(encoding="utf-8"))
    (found,) = [one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return dict(found)


def without_metadata(one: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in one.items() if name != "metadata"}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("fleets-role.yaml", "sluiceway"),
        ("workerclasses-role.yaml", "sluiceway-workerclasses"),
        ("nodes-role.yaml", "sluiceway-nodes"),
        ("users-roles.yaml", "sluiceway-edit"),
        ("users-roles.yaml", "sluiceway-view"),
    ],
)
def test_a_cluster_role_grants_exactly_what_the_manifests_grant(
    helm: Helm, file: str, name: str
) -> None:
    rendered = helm.render(CHART).one("ClusterRole", name)
    committed = base(file, "ClusterRole", name)
    assert rendered["rules"] == committed["rules"]
    aggregating = "rbac.authorization.k8s.io/aggregate-to-"
    for label, value in committed["metadata"]["labels"].items():
        assert not label.startswith(aggregating) or rendered["metadata"]["labels"][label] == value


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("fleets-role.yaml", "sluiceway"),
        ("workerclasses-role.yaml", "sluiceway-workerclasses"),
        ("nodes-role.yaml", "sluiceway-nodes"),
    ],
)
def test_the_operator_is_bound_to_them_as_in_the_manifests(
    helm: Helm, file: str, name: str
) -> None:
    rendered = helm.render(CHART).one("ClusterRoleBinding", name)
    assert without_metadata(rendered) == without_metadata(base(file, "ClusterRoleBinding", name))


def test_the_lease_is_the_only_one_that_it_may_take(helm: Helm) -> None:
    rendered = helm.render(CHART)
    for kind in ("Role", "RoleBinding"):
        committed = base("lease-role.yaml", kind, "sluiceway-lease")
        assert without_metadata(rendered.one(kind, "sluiceway-lease")) == without_metadata(
            committed
        )


def test_a_release_of_another_name_has_a_lease_of_its_own(helm: Helm) -> None:
    """Two in one namespace, each with its own TaskQueues, must both lead."""
    rendered = helm.render(CHART, release="blue")
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--lease-name=blue-sluiceway" in container["args"]
    leases = rendered.one("Role", "blue-sluiceway-lease")["rules"][1]
    assert leases["resourceNames"] == ["blue-sluiceway"]


def test_nothing_else_is_granted_to_anybody(helm: Helm) -> None:
    rendered = helm.render(CHART)
    roles = {
        one["metadata"]["name"] for one in (*rendered.all("ClusterRole"), *rendered.all("Role"))
    }
    assert roles == {"sluiceway"} | {
        f"sluiceway-{name}" for name in ("workerclasses", "nodes", "lease", "edit", "view")
    }


def test_nodes_need_not_be_seen_and_nothing_else_changes(helm: Helm) -> None:
    usual, without = (
        helm.render(CHART, {"rbac": {"nodes": nodes}}).all("ClusterRole") for nodes in (True, False)
    )
    assert [one for one in usual if one not in without] == [
        one for one in usual if one["metadata"]["name"] == "sluiceway-nodes"
    ]


def test_secrets_can_be_kept_to_those_that_are_named_and_nothing_else_changes(helm: Helm) -> None:
    everywhere = base("fleets-role.yaml", "ClusterRole")["rules"]
    rules = helm.render(CHART, SETS["two Secrets only"]).one("ClusterRole", "sluiceway")["rules"]
    about_secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert about_secrets == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["redis", "redis-reports"],
            "verbs": ["get"],
        }
    ]
    for rule in rules:
        if rule not in about_secrets and rule["resources"] != ["configmaps"]:
            assert rule in everywhere
    assert len(rules) == len(everywhere) + 1


def test_for_namespaces_the_same_rights_hold_in_each_of_them_and_nowhere_else(helm: Helm) -> None:
    rendered = helm.render(CHART, {"watchNamespaces": ["shop", "payments"]})
    everywhere = base("fleets-role.yaml", "ClusterRole")["rules"]
    fleets = [one for one in rendered.all("Role") if one["metadata"]["name"] == "sluiceway"]
    assert {one["metadata"]["namespace"] for one in fleets} == {"shop", "payments"}
    assert [one["rules"] for one in fleets] == [everywhere, everywhere]
    bound = [one for one in rendered.all("RoleBinding") if one["metadata"]["name"] == "sluiceway"]
    assert {one["metadata"]["namespace"] for one in bound} == {"shop", "payments"}
    assert {one["roleRef"]["kind"] for one in bound} == {"Role"}
    in_the_cluster = list(chain(*(one["rules"] for one in rendered.all("ClusterRole"))))
    assert {name for rule in in_the_cluster for name in rule["resources"]} == {
        *("taskqueues", "workerclasses")
    }
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--namespace=shop", "--namespace=payments"]


def test_two_releases_for_namespaces_of_their_own_share_no_name_in_the_cluster(
    helm: Helm,
) -> None:
    rendered = helm.render(CHART, {"watchNamespaces": ["shop"]})
    names = {
        one["metadata"]["name"]
        for one in rendered.objects
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding")
    }
    assert names == {
        f"sluiceway-sluiceway-system-{name}" for name in ("workerclasses", "edit", "view")
    }


def test_the_pods_are_those_of_the_manifests_but_for_how_they_are_spread(helm: Helm) -> None:
    committed = base("deployment.yaml", "Deployment")
    rendered = helm.render(CHART).one("Deployment")
    assert rendered["spec"]["replicas"] == committed["spec"]["replicas"]
    assert rendered["spec"]["strategy"] == committed["spec"]["strategy"]
    spec, expected = (one["spec"]["template"]["spec"] for one in (rendered, committed))
    (container,), (expected_container,) = spec["containers"], expected["containers"]
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert container == expected_container
    for name in ("securityContext", "serviceAccountName", "volumes"):
        assert spec[name] == expected[name]


def test_the_disruption_budget_is_that_of_the_manifests(helm: Helm) -> None:
    committed = base("poddisruptionbudget.yaml", "PodDisruptionBudget")["spec"]
    rendered = helm.render(CHART).one("PodDisruptionBudget")["spec"]
    assert rendered["maxUnavailable"] == committed["maxUnavailable"]


def test_the_crds_are_those_of_the_manifests_and_outlive_an_uninstall(helm: Helm) -> None:
    rendered = helm.render(CHART).all("CustomResourceDefinition")
    committed = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CRDS.glob("*.yaml"))
    ]
    assert [without_metadata(one) for one in rendered] == [
        without_metadata(one) for one in committed
    ]
    assert [one["metadata"]["name"] for one in rendered] == [
        one["metadata"]["name"] for one in committed
    ]
    assert {one["metadata"]["annotations"][KEEP] for one in rendered} == {"keep"}


def test_the_charts_copies_of_the_crds_are_current() -> None:
    def texts(folder: Any) -> dict[str, str]:
        return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}

    assert texts(CHART / "files" / "crds") == texts(CRDS), "run `make generate`"

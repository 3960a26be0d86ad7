"""A user's pod template over the generated one, as tables."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sluiceway.workload.merge import laid_over

GENERATED: dict[str, Any] = {
    "metadata": {"labels": {"app": "worker"}},
    "spec": {
        "terminationGracePeriodSeconds": 630,
        "nodeSelector": {"pool": "high-cpu"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "initContainers": [{"name": "agent", "image": "agent:1"}],
        "containers": [
            {
                "name": "worker",
                "image": "shop:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 80}],
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                "livenessProbe": {"tcpSocket": {"port": 9817}, "periodSeconds": 20},
                "securityContext": {"readOnlyRootFilesystem": True},
            }
        ],
    },
}


def over(template: dict[str, Any]) -> dict[str, Any]:
    return laid_over(GENERATED, template)


def worker(**members: Any) -> dict[str, Any]:
    """What the worker's container becomes when a template says ``members`` of it."""
    merged = over({"spec": {"containers": [{"name": "worker", **members}]}})
    (container,) = merged["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("template", [{}, {"spec": None}, {"metadata": None}, {"spec": {}}])
def test_a_template_that_says_nothing_changes_nothing(template: dict[str, Any]) -> None:
    assert over(template) == GENERATED


@pytest.mark.parametrize(
    ("member", "said", "result"),
    [
        (
            "env",
            [{"name": "B", "valueFrom": {"fieldRef": {}}}, {"name": "C", "value": "3"}],
            [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {}}},
                {"name": "C", "value": "3"},
            ],
        ),
        (
            "volumeMounts",
            [{"name": "disk", "mountPath": "/tmp"}, {"name": "disk", "mountPath": "/data"}],
            [{"name": "disk", "mountPath": "/tmp"}, {"name": "disk", "mountPath": "/data"}],
        ),
        (
            "ports",
            [{"containerPort": 80, "protocol": "TCP", "name": "web"}, {"containerPort": 81}],
            [{"containerPort": 80, "protocol": "TCP", "name": "web"}, {"containerPort": 81}],
        ),
        (
            "ports",
            [{"containerPort": 80, "protocol": "UDP"}],
            [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
        ),
        ("image", "shop:2", "shop:2"),
        ("livenessProbe", {"exec": {"command": ["true"]}}, {"exec": {"command": ["true"]}}),
        (
            "securityContext",
            {"runAsUser": 7},
            {"readOnlyRootFilesystem": True, "runAsUser": 7},
        ),
        ("resources", {"limits": {"cpu": 1}}, {"limits": {"cpu": 1}}),
    ],
)
def test_what_a_template_says_of_a_container_is_laid_over_it(
    member: str, said: Any, result: Any
) -> None:
    assert worker(**{member: said})[member] == result


@pytest.mark.parametrize(
    ("member", "said", "result"),
    [
        ("terminationGracePeriodSeconds", 5, 5),
        ("nodeSelector", {"zone": "a"}, {"pool": "high-cpu", "zone": "a"}),
        ("nodeSelector", {"pool": None}, {}),
        (
            "tolerations",
            [{"key": "spot"}, {"key": "pool", "operator": "Exists"}],
            [{"key": "pool", "operator": "Exists"}, {"key": "spot"}],
        ),
        (
            "securityContext",
            {"fsGroup": 7},
            {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 7},
        ),
        (
            "volumes",
            [{"name": "tmp", "hostPath": {"path": "/x"}}, {"name": "d", "emptyDir": {}}],
            [{"name": "tmp", "hostPath": {"path": "/x"}}, {"name": "d", "emptyDir": {}}],
        ),
        (
            "initContainers",
            [{"name": "migrate", "image": "shop:1"}, {"name": "agent", "image": "agent:2"}],
            [{"name": "agent", "image": "agent:2"}, {"name": "migrate", "image": "shop:1"}],
        ),
        ("dnsConfig", {"searches": ["x"]}, {"searches": ["x"]}),
    ],
)
def test_what_a_template_says_of_the_pod_is_laid_over_it(
    member: str, said: Any, result: Any
) -> None:
    assert over({"spec": {member: said}})["spec"][member] == result


def test_a_sidecar_stands_beside_the_worker() -> None:
    merged = over({"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}})
    assert [one["name"] for one in merged["spec"]["containers"]] == ["worker", "proxy"]
    assert merged["spec"]["containers"][0] == GENERATED["spec"]["containers"][0]


def test_a_null_takes_a_member_away() -> None:
    assert "livenessProbe" not in worker(livenessProbe=None)


def test_labels_and_annotations_join_the_generated_ones() -> None:
    merged = over({"metadata": {"labels": {"team": "media"}, "annotations": {"note": "x"}}})
    assert merged["metadata"] == {
        "labels": {"app": "worker", "team": "media"},
        "annotations": {"note": "x"},
    }


def test_what_is_merged_is_left_as_it_was() -> None:
    before = copy.deepcopy(GENERATED)
    merged = worker(env=[{"name": "A", "value": "9"}])
    assert merged["env"][0] == {"name": "A", "value": "9"}
    assert before == GENERATED

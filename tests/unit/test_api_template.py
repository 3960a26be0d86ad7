"""The shape of worker.template, which no CRD looks at."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.template import template_problems

SLIPS: dict[str, tuple[dict[str, Any], str]] = {
    "containers at the top": (
        {"containers": []},
        "template.containers: Invalid value: belongs into the pod's spec: write "
        "template.spec.containers",
    ),
    "a misspelt part": (
        {"metdata": {}},
        "template.metdata: Unknown field: did you mean metadata?",
    ),
    "a spec that is a list": (
        {"spec": [{"name": "worker"}]},
        "template.spec: Invalid value: must be an object with members of its own: write them below "
        "it, indented",
    ),
    "containers without dashes": (
        {"spec": {"containers": {"name": "worker"}}},
        "template.spec.containers: Invalid value: must be a list: put a dash before each item",
    ),
    "a container without a name": (
        {"spec": {"initContainers": [{"image": "busybox"}]}},
        "template.spec.initContainers[0]: Invalid value: must be an object with a name: add name, "
        "by which it is merged",
    ),
    "two volumes of one name": (
        {"spec": {"volumes": [{"name": "tmp"}, {"name": "tmp"}]}},
        "template.spec.volumes[1]: Invalid value: the name tmp is taken twice: rename one of the "
        "two, or merge them",
    ),
    "a number in the environment": (
        {"spec": {"containers": [{"name": "worker", "env": [{"name": "THREADS", "value": 2}]}]}},
        'template.spec.containers[0].env[0].value: Invalid value: 2: must be text: write "2" in '
        "quotes",
    ),
    "an environment written as an object": (
        {"spec": {"containers": [{"name": "worker", "env": {"THREADS": "2"}}]}},
        "template.spec.containers[0].env: Invalid value: must be a list: put a dash before each "
        "item",
    ),
    "mounts written as one path": (
        {"spec": {"containers": [{"name": "worker", "volumeMounts": "/data"}]}},
        'template.spec.containers[0].volumeMounts: Invalid value: "/data": must be a list: put '
        "a dash before each item",
    ),
    "a mount written as a path": (
        {"spec": {"containers": [{"name": "worker", "volumeMounts": ["/data"]}]}},
        'template.spec.containers[0].volumeMounts[0]: Invalid value: "/data": must be an object: '
        "write its members behind the dash, as name: value",
    ),
    "a port written as a number": (
        {"spec": {"containers": [{"name": "worker", "ports": [8000]}]}},
        "template.spec.containers[0].ports[0]: Invalid value: 8000: must be an object: write its "
        "members behind the dash, as name: value",
    ),
    "limits written as a number": (
        {"spec": {"containers": [{"name": "worker", "resources": {"limits": 2}}]}},
        "template.spec.containers[0].resources.limits: Invalid value: 2: must be an object with "
        "members of its own: write them below it, indented",
    ),
    "a selector that names no label": (
        {"spec": {"nodeSelector": "gpu"}},
        'template.spec.nodeSelector: Invalid value: "gpu": must be an object with members of its '
        "own: write them below it, indented",
    ),
    "a toleration without its members": (
        {"spec": {"tolerations": ["gpu"]}},
        'template.spec.tolerations[0]: Invalid value: "gpu": must be an object: write its members '
        "behind the dash, as name: value",
    ),
    "a label that is no text": (
        {"metadata": {"labels": {"example.com/tier": 1}}},
        'template.metadata.labels[example.com/tier]: Invalid value: 1: must be text: write "1" in '
        "quotes",
    ),
}


@pytest.mark.parametrize(("template", "line"), SLIPS.values(), ids=SLIPS.keys())
def test_a_slip_gets_one_line_with_the_mend(template: dict[str, Any], line: str) -> None:
    assert [str(problem) for problem in template_problems("template", template)] == [line]


def test_a_real_template_is_taken() -> None:
    template = {
        "metadata": {"labels": {"team": "media"}, "annotations": {"a/b": "c"}},
        "spec": {
            "containers": [
                {
                    "name": "worker",
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                },
                {"name": "sidecar", "image": "proxy"},
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "securityContext": {"runAsNonRoot": True},
        },
    }

    assert list(template_problems("template", template)) == []


@pytest.mark.parametrize(
    "template",
    [
        {"spec": {"containers": [None, 3, "x"]}},
        {"metadata": 3},
        {"spec": None},
        {"metadata": {"labels": []}},
    ],
)
def test_no_shape_makes_it_raise(template: dict[str, Any]) -> None:
    list(template_problems("template", template))

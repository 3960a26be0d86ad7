"""The committed CRDs and examples, held against a real API server.

It has the last word on what a schema, a CEL expression and a default mean; our
own checks must say what it says.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS, REPOSITORY

from sluiceway.api.validate import MODELS, validate

CRDS = MANIFESTS / "crds"
EXAMPLES = sorted((MANIFESTS / "examples").glob("*.yaml"))

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MOST_ANNOTATION_BYTES = 262_144 // 4
"""An object's annotations may have 262,144 bytes; far below that, so that they never meet."""


def table(name: str) -> list[Any]:
    """The objects of one file of tests/data/objects, as parameters with their names."""
    path = REPOSITORY / "tests" / "data" / "objects" / f"{name}.yaml"
    objects = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [pytest.param(obj, id=name) for name, obj in objects.items()]


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """kubectl where the CRDs are installed and the examples' namespace exists."""
    kubectl = control_plane.kubectl
    kubectl.run("apply", "--filename", CRDS)
    kubectl.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    return kubectl


def refusal(kubectl: Kubectl, obj: dict[str, Any]) -> list[str]:
    """The lines in which `kubectl apply` refuses an object; empty when it is taken."""
    outcome = kubectl.try_run("apply", "--dry-run=server", "--filename=-", stdin=json.dumps(obj))
    if outcome.code == 0:
        return []
    # 'The TaskQueue "a" is invalid: <line>', or after the colon one '* <line>' for each.
    _, _, said = outcome.stderr.strip().partition(" is invalid: ")
    return [line.removeprefix("* ") for line in (said or outcome.stderr).strip().splitlines()]


def dotted(path: str) -> str:
    """`a.b[key]` as `a.b.key`: an API server writes a map's keys in both ways."""
    return re.sub(r"\[(\D[^]]*)\]", r".\1", path)


def test_every_crd_is_taken_and_served(kubectl: Kubectl) -> None:
    crds = kubectl.items("crd")
    assert len(crds) == len(list(CRDS.glob("*.yaml")))
    for crd in crds:
        conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_client_side_apply_has_room_to_spare_for_every_crd(kubectl: Kubectl) -> None:
    for crd in kubectl.items("crd"):
        assert len(crd["metadata"]["annotations"][LAST_APPLIED]) < MOST_ANNOTATION_BYTES


def test_an_applied_crd_shows_no_difference(kubectl: Kubectl) -> None:
    outcome = kubectl.try_run("diff", "--filename", CRDS)
    assert (outcome.code, outcome.stdout) == (0, "")


@pytest.mark.parametrize("obj", table("rules"))
def test_an_object_is_refused_in_the_words_of_our_own_check(
    obj: dict[str, Any], kubectl: Kubectl
) -> None:
    ours = [str(problem) for problem in validate(obj, in_cluster=True)]
    assert sorted(refusal(kubectl, obj)) == sorted(ours)


@pytest.mark.parametrize("obj", table("structure"))
def test_a_wrong_structure_is_refused_for_the_fields_that_our_own_check_names(
    obj: dict[str, Any], kubectl: Kubectl
) -> None:
    problems = validate(obj, in_cluster=True)
    said = "\n".join(refusal(kubectl, obj))
    assert problems != []
    assert [p.path for p in problems if dotted(p.path) not in dotted(said)] == []


@pytest.mark.parametrize("obj", table("unseen"))
def test_what_cel_cannot_see_is_taken_by_the_server_and_found_by_our_own_check(
    obj: dict[str, Any], kubectl: Kubectl
) -> None:
    assert refusal(kubectl, obj) == []
    assert validate(obj, in_cluster=True) != []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_taken_comes_back_as_it_is_meant_and_shows_no_difference(
    path: Path, kubectl: Kubectl
) -> None:
    kubectl.run("apply", "--filename", path)
    for written in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if written["kind"] not in MODELS:
            continue
        model = MODELS[written["kind"]]
        metadata = written["metadata"]
        stored = kubectl.within(metadata.get("namespace", "default")).get(
            written["kind"], metadata["name"]
        )
        assert validate(stored, in_cluster=True) == []
        assert model.from_outside(stored).spec == model.from_outside(written).spec
    outcome = kubectl.try_run("diff", "--filename", path)
    assert (outcome.code, outcome.stdout) == (0, "")


def test_a_target_that_was_left_out_at_first_can_be_either_one_later(kubectl: Kubectl) -> None:
    spec = {"worker": {"app": "shop.tasks", "image": "shop:1"}}
    taskqueue = {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "later"},
        "spec": spec,
    }
    kubectl.apply(json.dumps(taskqueue))
    try:
        target = {"backlogPerReplica": 10}
        later = {**taskqueue, "spec": {**spec, "scaling": {"target": target}}}
        kubectl.apply(json.dumps(later))
        assert kubectl.get("taskqueue", "later")["spec"]["scaling"]["target"] == target
    finally:
        kubectl.run("delete", "taskqueue", "later")

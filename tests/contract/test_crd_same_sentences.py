"""Whole objects: what a cluster refuses and says, local mode refuses and says too.

The lines are compared as they are printed, path and kind of problem included.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluiceway.api.schema import structural_schema, with_defaults
from sluiceway.api.validate import MODELS, validate

ApiServer = Callable[[dict[str, Any]], list[str]]

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"


def taskqueue(**spec: Any) -> dict[str, Any]:
    spec.setdefault("worker", {"app": "shop.tasks", "image": "registry.example/shop:1.4"})
    return {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "exports"},
        "spec": spec,
    }


def workerclass(**spec: Any) -> dict[str, Any]:
    return {**taskqueue(), "kind": "WorkerClass", "spec": spec}


OBJECTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "objects" / "rules.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("obj", OBJECTS.values(), ids=OBJECTS.keys())
def test_an_object_is_refused_in_a_cluster_and_locally_in_the_same_words(
    obj: dict[str, Any], api_server: ApiServer
) -> None:
    ours = [str(problem) for problem in validate(obj, in_cluster=True)]

    assert sorted(ours) == sorted(api_server(obj))


def test_the_table_breaks_every_rule_that_a_cluster_knows(
    committed_schemas: dict[str, Any], api_server: ApiServer
) -> None:
    said = "\n".join(line for obj in OBJECTS.values() for line in api_server(obj))
    fixed_parts = [
        part
        for schema in committed_schemas.values()
        for rule in _rules_in(schema)
        for part in (rule["message"].partition(": ")[2] or rule["message"],)
    ]

    assert len(fixed_parts) > 30
    assert [part for part in fixed_parts if part not in said] == []


def _rules_in(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [rule for item in schema for rule in _rules_in(item)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("x-kubernetes-validations", [])
    return [*own, *(rule for item in schema.values() for rule in _rules_in(item))]


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(obj, id=f"{path.stem}/{obj['metadata']['name']}")
        for path in sorted(EXAMPLES.glob("*.yaml"))
        for obj in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ],
)
def test_an_example_is_taken_and_means_the_same_with_a_clusters_defaults(
    obj: dict[str, Any], api_server: ApiServer, committed_schemas: dict[str, Any]
) -> None:
    assert api_server(obj) == []
    stored = with_defaults(committed_schemas[obj["kind"]], obj)
    model = MODELS[obj["kind"]]

    assert model.from_outside(stored) == model.from_outside(obj)
    assert model.from_outside(model.from_outside(obj).to_outside()) == model.from_outside(obj)


@pytest.mark.parametrize("kind", MODELS)
def test_the_defaults_of_the_crd_are_those_of_the_models(kind: str) -> None:
    bare = {**(taskqueue() if kind == "TaskQueue" else workerclass()), "kind": kind}
    stored = with_defaults(structural_schema(kind), bare)

    assert stored != bare
    assert MODELS[kind].from_outside(stored) == MODELS[kind].from_outside(bare)
    assert MODELS[kind].from_outside(stored).to_outside() == bare

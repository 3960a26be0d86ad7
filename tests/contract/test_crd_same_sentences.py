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


def worker(**more: Any) -> dict[str, Any]:
    return {"app": "shop.tasks", "image": "registry.example/shop:1.4", **more}


OBJECTS = {
    "nothing wrong": taskqueue(),
    "no worker": {**taskqueue(), "spec": {}},
    "no image": taskqueue(worker={"app": "shop.tasks"}),
    "a long name": {**taskqueue(), "metadata": {"name": "a" * 64}},
    "min above max": taskqueue(scaling={"minReplicas": 50, "maxReplicas": 40}),
    "min above the default max": taskqueue(scaling={"minReplicas": 11}),
    "max of zero": taskqueue(scaling={"maxReplicas": 0}),
    "two targets": taskqueue(scaling={"target": {"maxWait": "1s", "backlogPerReplica": 1}}),
    "no target in the block": taskqueue(scaling={"target": {}}),
    "a long task": taskqueue(broker={"visibilityTimeout": "5m"}),
    "malformed durations": taskqueue(
        broker={"visibilityTimeout": "1 hour"},
        worker=worker(longestTask="0s"),
        scaling={
            "cooldownPeriod": "60",
            "target": {"maxWait": "soon"},
            "schedules": [{"cron": "0 2 * * *", "duration": "1d", "minReplicas": 1}],
        },
    ),
    "queues": taskqueue(queues=["a", "b,c", "a", "x:y"], broker={"separator": ":"}),
    "another broker": taskqueue(broker={"url": "amqp://rabbit//"}),
    "a cluster": taskqueue(broker={"url": "redis+cluster://redis:6379"}),
    "no database": taskqueue(broker={"url": "redis://redis/shop"}),
    "no master": taskqueue(broker={"url": "sentinel://sentinel:26379/0"}),
    "two addresses": taskqueue(broker={"url": "redis://redis", "urlFrom": {}}),
    "priority steps": taskqueue(broker={"prioritySteps": [3, 0, 0]}),
    "two images": taskqueue(worker=worker(like={"name": "web"})),
    "a deployment with an image": taskqueue(
        worker=worker(deploymentRef={"name": "workers"}, acks="late")
    ),
    "solo": taskqueue(worker=worker(pool="solo", concurrency=4)),
    "a nickname for a time": taskqueue(
        scaling={"schedules": [{"cron": "@daily", "duration": "1h", "minReplicas": 1}]}
    ),
    "fallback": taskqueue(scaling={"fallback": {"behavior": "static"}}),
    "tolerance": taskqueue(scaling={"behavior": {"scaleUp": {"tolerance": "ten percent"}}}),
    "a class": workerclass(default=True),
    "tolerations": workerclass(
        tolerations=[
            {"effect": "NoSchedule"},
            {"key": "a", "operator": "Exists", "value": "b"},
            {"key": "a", "tolerationSeconds": 5},
        ]
    ),
    "quantities": workerclass(resources={"requests": {"cpu": 1, "memory": "1GB"}}),
}


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

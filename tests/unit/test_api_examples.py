"""The examples that we ship: all valid, the smallest small, the largest complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluiceway.api.load import read
from sluiceway.api.schema import structural_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "manifests" / "examples").glob("*.yaml"))


def by_name(name: str) -> Path:
    return next(path for path in EXAMPLES if path.name == name)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_problem_and_no_warning(path: Path) -> None:
    documents = read(path, in_cluster=True)

    assert documents
    assert all(document.ours for document in documents)
    assert [(d.verdict.problems, d.verdict.advice) for d in documents] == [((), ())] * len(
        documents
    )


def test_the_smallest_example_has_ten_lines() -> None:
    lines = by_name("exports.yaml").read_text(encoding="utf-8").splitlines()

    assert len([line for line in lines if not line.startswith("#")]) == 10


def test_the_largest_example_names_every_field() -> None:
    text = by_name("everything.yaml").read_text(encoding="utf-8")

    assert [name for name in _fields(structural_schema("TaskQueue")["properties"]["spec"])
            if f"{name}:" not in text] == []  # fmt: skip


def test_the_largest_example_sets_every_field_that_excludes_no_other() -> None:
    spec = yaml.safe_load(by_name("everything.yaml").read_text(encoding="utf-8"))["spec"]
    given = set(_paths(spec))
    excluded = {"broker.urlFrom", "worker.like", "worker.deploymentRef"}
    excluded |= {"scaling.target.backlogPerReplica"}
    all_fields = set(_schema_paths(structural_schema("TaskQueue")["properties"]["spec"]))

    missing = {
        field
        for field in all_fields - given
        if not any(field == name or field.startswith(f"{name}.") for name in excluded)
    }
    assert missing == set()


def test_the_classes_show_every_field_of_a_class() -> None:
    text = by_name("workerclasses.yaml").read_text(encoding="utf-8")

    assert [name for name in _fields(structural_schema("WorkerClass")["properties"]["spec"])
            if f"{name}:" not in text] == []  # fmt: skip


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        yield name
        yield from _fields(member)
    if "items" in schema:
        yield from _fields(schema["items"])


def _schema_paths(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, member in schema.get("items", schema).get("properties", {}).items():
        yield f"{path}{name}"
        yield from _schema_paths(member, f"{path}{name}.")


def _paths(value: Any, path: str = "") -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, member in item.items():
                yield f"{path}{name}"
                yield from _paths(member, f"{path}{name}.")

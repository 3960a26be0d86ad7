"""The committed CRDs: current, structural, bounded, described, and small."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluiceway.api.crd import crds

MANIFESTS = Path(__file__).parents[2] / "manifests"
NAMES = sorted(crds())

MOST_BYTES = 60_000
"""kubectl apply keeps the whole object in an annotation of at most 262,144 bytes; a
CRD far below that also stays readable."""


def schema_of(name: str) -> dict[str, Any]:
    crd = yaml.safe_load(crds()[name])
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node below spec and status with its path."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        if path or name in ("spec", "status"):
            yield from walk(member, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[*]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}.*")


NODES = [
    pytest.param(node, id=f"{name.partition('.')[0]}{path}")
    for name in NAMES
    for path, node in walk(schema_of(name))
    if path
]
FIELDS = [param for param in NODES if not str(param.id).endswith(("[*]", ".*"))]


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_crd_is_what_the_models_say_now(name: str) -> None:
    committed = (MANIFESTS / "crds" / f"{name}.yaml").read_text(encoding="utf-8")

    assert committed == crds()[name], "run `sluiceway crd --output-dir manifests/crds`"


def test_no_other_crd_is_committed() -> None:
    assert sorted(path.stem for path in (MANIFESTS / "crds").glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_crd_stays_small(name: str) -> None:
    text = crds()[name]

    assert len(text.encode()) < MOST_BYTES
    assert len(json.dumps(yaml.safe_load(text))) < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_a_crd_has_nothing_that_a_structural_schema_forbids(name: str) -> None:
    text = crds()[name]

    for word in ("$ref", "anyOf", "oneOf", "allOf", "title:", "examples:", "x-duration", ": null"):
        assert word not in text


@pytest.mark.parametrize("node", NODES)
def test_every_node_has_a_type_or_is_open_on_purpose(node: dict[str, Any]) -> None:
    assert (
        "type" in node
        or node.get("x-kubernetes-int-or-string")
        or node.get("x-kubernetes-preserve-unknown-fields")
    )


@pytest.mark.parametrize("node", FIELDS)
def test_every_field_tells_a_user_what_it_means(node: dict[str, Any]) -> None:
    description = node["description"]

    assert len(description) > 10
    assert (
        description[0].isupper()
        or not description[0].isalpha()
        or description.startswith(("inject", "late", "static", "true"))
    )
    assert description.endswith(".")


@pytest.mark.parametrize("node", NODES)
def test_every_node_is_bounded_so_that_the_cost_of_rules_is(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if kind == "string" and "enum" not in node:
        assert "maxLength" in node
    if kind == "array":
        assert "maxItems" in node
        assert node["x-kubernetes-list-type"] in ("atomic", "map")
    if kind == "integer":
        assert "minimum" in node
        assert "maximum" in node
    if "additionalProperties" in node:
        assert "maxProperties" in node
    if node.get("x-kubernetes-int-or-string"):
        assert "maxLength" in node


@pytest.mark.parametrize("node", NODES)
def test_every_rule_names_its_mend_without_needing_the_value(node: dict[str, Any]) -> None:
    for rule in node.get("x-kubernetes-validations", ()):
        assert re.search(
            r"\b(write|remove|raise|lower|rename|choose|use|append|shorten)\b", rule["message"]
        )
        assert "{" not in re.sub(r"\{(name|replicas): [a-z0-9]+\}", "", rule["message"])
        assert "\n" not in rule["message"]
        if "messageExpression" in rule:
            assert re.fullmatch(r"'.*'\.format\(\[self\..*\]\)", rule["messageExpression"])


def test_a_list_of_taskqueues_shows_what_one_asks_for_first() -> None:
    (version,) = yaml.safe_load(crds()["taskqueues.sluiceway.dev"])["spec"]["versions"]
    columns = [c["name"] for c in version["additionalPrinterColumns"] if not c.get("priority")]

    assert columns == [
        "Queues", "Waiting", "Oldest", "Running", "Workers", "Desired", "Class", "Reason", "Age",
    ]  # fmt: skip
    assert version["subresources"] == {"status": {}}


@pytest.mark.parametrize("name", NAMES)
def test_every_column_shows_a_field_that_exists(name: str) -> None:
    (version,) = yaml.safe_load(crds()[name])["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    paths = {path for path, _ in walk(schema)}

    for column in version["additionalPrinterColumns"]:
        path = column["jsonPath"]
        assert path in paths or path == ".metadata.creationTimestamp"

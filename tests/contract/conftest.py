"""A small stand-in for the API server: it knows nothing of us but the committed CRDs.

It fills in defaults and evaluates every ``x-kubernetes-validations`` with a CEL
interpreter, so that what the YAML files say can be held against what our code says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from celpy import celtypes

from sluiceway.api.schema import with_defaults

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
REASONS = {
    None: "Invalid value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
}


def cel(expression: str, node: Any) -> Any:
    """The value of a CEL expression with ``node`` as self."""
    environment = celpy.Environment()
    # Kubernetes has format() from its string library; the interpreter has not.
    program = environment.program(environment.compile(expression), functions={"format": _format})
    return program.evaluate({"self": celpy.json_to_cel(node)})


def _format(text: celtypes.StringType, values: celtypes.ListType) -> celtypes.StringType:
    return celtypes.StringType(str(text) % tuple(str(value) for value in values))


@pytest.fixture(scope="session")
def evaluate() -> Callable[[str, Any], Any]:
    """Evaluate a CEL expression on a node."""
    return cel


@pytest.fixture(scope="session")
def committed_schemas() -> dict[str, dict[str, Any]]:
    """kind → the openAPIV3Schema of the committed CRD."""
    found = {}
    for path in CRDS.glob("*.yaml"):
        crd = yaml.safe_load(path.read_text(encoding="utf-8"))
        (version,) = crd["spec"]["versions"]
        found[crd["spec"]["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    return found


@pytest.fixture(scope="session")
def api_server(committed_schemas: dict[str, Any]) -> Callable[[dict[str, Any]], list[str]]:
    """From a structurally valid object to the lines that an API server refuses it with."""

    def answer(obj: dict[str, Any]) -> list[str]:
        schema = committed_schemas[obj["kind"]]
        return list(_refusals(schema, with_defaults(schema, obj), ""))

    return answer


def _refusals(schema: dict[str, Any], node: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if not cel(rule["rule"], node):
            where = (path + rule.get("fieldPath", "")).removeprefix(".")
            message = rule["message"]
            if "messageExpression" in rule:
                message = str(cel(rule["messageExpression"], node))
            value = ""
            if REASONS[rule.get("reason")] == "Invalid value" and not isinstance(
                node, (dict, list)
            ):
                value = f'"{node}": ' if isinstance(node, str) else f"{node}: "
            yield f"{where}: {REASONS[rule.get('reason')]}: {value}{message}"
    if isinstance(node, dict):
        for name, item in node.items():
            member = schema.get("properties", {}).get(name)
            if member is not None:
                yield from _refusals(member, item, f"{path}.{name}")
            elif "additionalProperties" in schema:
                yield from _refusals(schema["additionalProperties"], item, f"{path}[{name}]")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _refusals(schema.get("items", {}), item, f"{path}[{index}]")

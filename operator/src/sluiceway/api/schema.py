"""From the models to Kubernetes' structural schema, and the defaults in it.

What flows through: pydantic's JSON schema of a model goes in; out comes a schema
without references, titles and null branches, closed by pruning, bounded everywhere,
with the rules as ``x-kubernetes-validations`` at their places.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from sluiceway.api.duration import format_duration
from sluiceway.api.rule import Rule
from sluiceway.api.rules import RULES
from sluiceway.api.status import TaskQueueStatus
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.api.workerclass import WorkerClassSpec

Schema = dict[str, Any]

_NAME = {"type": "string", "description": "Name of the object. Example: `exports`."}
_META = {
    "apiVersion": {
        "type": "string",
        "description": "The version of this object's schema: sluiceway.dev/v1alpha1.",
    },
    "kind": {"type": "string", "description": "The kind of this object."},
    # Only so much of metadata may be told here; a rule speaks of the name.
    "metadata": {"type": "object", "properties": {"name": _NAME}},
}
_KEPT = (
    "type", "format", "description", "default", "enum", "minimum", "maximum", "minLength",
    "maxLength", "minItems", "maxItems", "maxProperties", "required",
)  # fmt: skip
_NOTHING: tuple[Any, ...] = (None, "", [], {})


@cache
def structural_schema(kind: str) -> Schema:
    """The ``openAPIV3Schema`` of a kind: metadata, spec and, where there is one, status."""
    if kind == "TaskQueue":
        description = (
            "One fleet of Celery workers: the queues it serves, how long a task may wait, and "
            "what it runs on."
        )
        parts = {"spec": _schema_of(TaskQueueSpec), "status": _schema_of(TaskQueueStatus)}
    else:
        description = (
            "A kind of machine that workers run on: node pool, tolerations and default "
            "resources. What StorageClass is to volumes, for workers."
        )
        parts = {"spec": _schema_of(WorkerClassSpec)}
    schema: Schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {**copy.deepcopy(_META), **parts},
    }
    for rule in RULES[kind]:
        _at(schema, rule).setdefault("x-kubernetes-validations", []).append(rule.to_crd())
    return schema


def with_defaults(schema: Schema, body: Any) -> Any:
    """``body`` with the schema's defaults filled in, as an API server fills them.

    Like there, a null where no null is allowed counts as absent, and what is filled in
    is filled in further. Rules are asked about the result.
    """
    if isinstance(body, Mapping) and "properties" in schema:
        filled = {key: value for key, value in body.items() if value is not None}
        for name, member in schema["properties"].items():
            if name not in filled and "default" in member:
                filled[name] = copy.deepcopy(member["default"])
            if name in filled:
                filled[name] = with_defaults(member, filled[name])
        return filled
    if isinstance(body, list) and "items" in schema:
        return [with_defaults(schema["items"], item) for item in body]
    return body


def _at(schema: Schema, rule: Rule) -> Schema:
    """The node of the schema that a rule belongs to."""
    for part in filter(None, rule.at.split(".")):
        schema = schema["properties"][part.removesuffix("[*]")]
        if part.endswith("[*]"):
            schema = schema["items"]
    return schema


def _schema_of(model: type[BaseModel]) -> Schema:
    raw = model.model_json_schema(by_alias=True)
    return _structural(raw, raw.get("$defs", {}))


def _structural(raw: Schema, defs: Mapping[str, Schema]) -> Schema:
    raw = _resolved(raw, defs)
    node = {key: raw[key] for key in _KEPT if key in raw}
    node.update({k: v for k, v in raw.items() if k.startswith("x-kubernetes-")})
    if raw.get("examples"):
        node["description"] += f" Example: {_shown(raw['examples'][0])}."
    if raw.get("type") == "integer":
        node.setdefault("format", "int32")
    if raw.get("type") == "array":
        node["items"] = _structural(raw["items"], defs)
        node.setdefault("x-kubernetes-list-type", "atomic")
    if "properties" in raw:
        node["properties"] = {k: _structural(v, defs) for k, v in raw["properties"].items()}
    elif isinstance(raw.get("additionalProperties"), dict):
        node["additionalProperties"] = _structural(raw["additionalProperties"], defs)
    _set_default(node, is_duration="x-duration" in raw)
    return node


def _resolved(raw: Schema, defs: Mapping[str, Schema]) -> Schema:
    """``raw`` with its reference followed and its null branch left out.

    What stands beside a reference (a field's own description, its default) wins over
    what the referenced model says of itself.
    """
    outer = {k: v for k, v in raw.items() if k not in ("$ref", "anyOf")}
    inner: Schema = {}
    if "$ref" in raw:
        inner = defs[raw["$ref"].rpartition("/")[2]]
    elif "anyOf" in raw:
        (branch,) = (b for b in raw["anyOf"] if b != {"type": "null"})
        inner = _resolved(branch, defs)
    return {**inner, **outer}


def _set_default(node: Schema, *, is_duration: bool) -> None:
    """Write the default in its outside form, or drop it where it says «nothing given».

    An object's default is written out in full: an API server checks it against the
    rules before it fills in the members' own. A member that is to stay absent is in
    neither.
    """
    default = _without_nothing(node.pop("default", None))
    if isinstance(default, dict) and "properties" in node:
        members = node["properties"]
        default = {key: item for key, item in default.items() if "default" in members[key]}
    if is_duration and default is not None:
        node["default"] = format_duration(default)
    elif default not in _NOTHING:
        node["default"] = default


def _without_nothing(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    members = {key: _without_nothing(item) for key, item in value.items()}
    return {key: item for key, item in members.items() if item not in _NOTHING}


def _shown(example: Any) -> str:
    if isinstance(example, str):
        return f"`{example}`"
    return f"`{json.dumps(example, ensure_ascii=False)}`"

"""From pydantic's errors to problems that name the mend.

The models know types, bounds and names; pydantic finds every breach of them at once,
in words for programmers. Here each becomes a sentence for whoever wrote the YAML.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sluiceway.api.problem import Problem, Why, child, entry, redact
from sluiceway.api.schema import Schema

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object with members of its own",
    "model_type": "an object with members of its own",
}


def structural_problems(error: ValidationError, schema: Schema) -> list[Problem]:
    """Every structural error of an object of this schema, in the order of its fields."""
    found = error.errors(include_url=False)
    return [_problem(details, schema) for details in found if not _follows(details, found)]


def _follows(details: ErrorDetails, found: Iterable[ErrorDetails]) -> bool:
    """Whether a list is too short only because pydantic does not count its malformed items."""
    place = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in found
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, also where only the case differs."""
    folded = {other.lower().replace("_", ""): other for other in known}
    match = difflib.get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=0.7)
    return folded[match[0]] if match else None


def unknown_field(path: str, name: str, known: Iterable[str], value: Any = None) -> Problem:
    """A member that the object at ``path`` does not have."""
    known = list(known)
    meant = nearest(name, known)
    others = f"write one of {', '.join(known)}, or " if known else ""
    mend = f"did you mean {meant}?" if meant else f"{others}remove it"
    return Problem(
        path=child(path, name), message=mend, value=redact(value), why=Why.UNKNOWN, meant=meant
    )


def _problem(details: ErrorDetails, schema: Schema) -> Problem:
    # pydantic also names the branch of a union («<object>»), which is no part of the path.
    loc = [part for part in details["loc"] if not str(part).startswith("<")]
    path, parent = "", ""
    for depth, part in enumerate(loc):
        is_map = "additionalProperties" in _schema_at(schema, loc[:depth])
        parent, path = path, entry(path, part) if is_map else child(path, part)
    if details["type"] == "extra_forbidden":
        known = _schema_at(schema, loc[:-1]).get("properties", ())
        return unknown_field(parent, str(loc[-1]), known, details["input"])
    if details["type"] == "missing":
        return Problem(path=path, message=_add(loc, schema), why=Why.REQUIRED)
    return Problem(path=path, message=_sentence(details), value=redact(details["input"]))


def _add(loc: list[int | str], schema: Schema) -> str:
    """The mend for a missing field: its own example, or what it is."""
    name = loc[-1]
    description = _schema_at(schema, loc).get("description", "")
    what, _, example = description.partition(" Example: ")
    if example:
        return f"add {name}, such as {name}: {example.strip('`.')}"
    return f"add {name}: {what[:1].lower()}{what[1:].rstrip('.')}" if what else f"add {name}"


def _sentence(details: ErrorDetails) -> str:
    kind, value, limits = details["type"], details["input"], details.get("ctx", {})
    if kind == "value_error":
        return str(limits["error"])
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_name_of(value)}{_retyped(kind, value)}"
    if kind == "literal_error":
        return _choose(value, limits["expected"])
    if kind == "greater_than_equal":
        return f"must be at least {limits['ge']}: raise it"
    if kind == "less_than_equal":
        return f"must be at most {limits['le']}: lower it"
    if kind == "string_too_short":
        return "must not be empty: write a value, or remove the field"
    if kind == "string_too_long":
        return f"must have at most {limits['max_length']} characters: shorten it"
    if kind == "too_short":
        return f"must have at least {limits['min_length']}: add one, or remove the field"
    if kind == "too_long":
        return f"must have at most {limits['max_length']} items: remove some"
    return details["msg"]


def _choose(value: Any, expected: str) -> str:
    """``expected`` is pydantic's list: ``'prefork', 'solo' or 'gevent'``."""
    options = expected.replace(" or ", ", ").replace("'", "").split(", ")
    if len(options) == 1:
        return f"must be {options[0]}: write that"
    meant = nearest(value, options) if isinstance(value, str) else None
    hint = f"did you mean {meant}?" if meant else "choose one"
    return f"must be one of {', '.join(options)}: {hint}"


def _name_of(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number with a point", list: "a list"}
    return names.get(type(value), "an object")


def _retyped(kind: str, value: Any) -> str:
    """The mend: the same value written so that it has the wanted type."""
    if kind in ("int_type", "float_type") and isinstance(value, str):
        digits = value.strip()
        return f": write {digits} without quotes" if digits.isdigit() else ": write a number"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f": write {value.lower()} without quotes"
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return f': write "{json.dumps(value)}" in quotes'
    if kind == "tuple_type" and isinstance(value, (str, int)):
        return f": write [{value}]"
    if kind == "tuple_type":
        return ": put a dash before each item"
    if kind in ("dict_type", "model_type"):
        return ": write its members below it, indented"
    return ": write a value of that kind"


def _schema_at(schema: Schema, loc: Iterable[int | str]) -> Mapping[str, Any]:
    """The schema of the field at ``loc``; empty where the schema does not tell."""
    node: Any = schema
    for part in loc:
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
    return node if isinstance(node, Mapping) else {}

"""One rule about what users write, told once and checked twice.

In a cluster the API server checks it (a CEL expression in the CRD), on a laptop
Python does. Both are declared side by side here, with one sentence for both, and a
contract test holds them together on a table of good and bad objects.

A sentence may quote the object: ``minReplicas ({minReplicas}) must not …``. For
Kubernetes it becomes a ``messageExpression``; the plain ``message``, which older
servers and failing expressions fall back to, is the same without the brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sluiceway.api.problem import Problem, Why, child, redact

_QUOTED = re.compile(r" \(\{([A-Za-z.]+)\}\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule on every node at one place of an object, defaults already filled in."""

    name: str
    """For tests and for people who read the code; users see the sentence."""
    at: str = ""
    """Where: ``spec.scaling``, ``spec.queues[*]``; empty is the object itself, or,
    for a rule that belongs to a type, the value."""
    field: str = ""
    """The member, relative to ``at``, that the problem is reported on."""
    reads: tuple[str, ...] = ()
    """The members that it looks at, relative to ``at``; empty: all of them. It is
    not asked while one of these is malformed: the sentence would only confuse."""
    cel: str
    """True when the rule holds; standard CEL only, valid for Kubernetes 1.29."""
    holds: Callable[[Any], bool]
    """The same in Python, on the node as parsed YAML."""
    sentence: str
    why: Why = Why.INVALID
    cluster_only: bool = False
    """It asks for what only a cluster needs; local mode does without."""

    def message(self, node: Any) -> str:
        """The sentence about ``node``."""
        return _QUOTED.sub(lambda m: f" ({_look_up(node, m[1])})", self.sentence)

    def problem(self, path: str, node: Any) -> Problem:
        """What to report when the rule does not hold for ``node`` at ``path``."""
        value = _look_up(node, self.field) if self.field else node
        return Problem(
            path=_join(path, self.field),
            message=self.message(node),
            value=redact(value),
            why=self.why,
            names_value=isinstance(node, Mapping),
        )

    def paths_read(self, path: str) -> list[str]:
        """The full paths of what it reads of the node at ``path``."""
        return [_join(path, name) for name in self.reads] or [path]

    def to_crd(self) -> dict[str, Any]:
        """The entry of ``x-kubernetes-validations``."""
        entry: dict[str, Any] = {"rule": self.cel, "message": _QUOTED.sub("", self.sentence)}
        if _QUOTED.search(self.sentence):
            entry["messageExpression"] = _message_expression(self.sentence)
        if self.why is Why.REQUIRED:
            entry["reason"] = "FieldValueRequired"
        elif self.why is Why.FORBIDDEN:
            entry["reason"] = "FieldValueForbidden"
        if self.field:
            entry["fieldPath"] = f".{self.field}"
        return entry


def nodes(obj: Any, at: str, path: str = "") -> list[tuple[str, Any]]:
    """Every ``(path, node)`` of ``obj`` at a rule's place; nothing where it is absent."""
    found = [(path, obj)]
    for name, each in _steps(at):
        further: list[tuple[str, Any]] = []
        for where, node in found:
            if not isinstance(node, dict) or name not in node:
                continue
            member, member_path = node[name], child(where, name)
            if not each:
                further.append((member_path, member))
            elif isinstance(member, (list, tuple)):
                further += ((child(member_path, n), item) for n, item in enumerate(member))
        found = further
    return found


@cache
def _steps(at: str) -> tuple[tuple[str, bool], ...]:
    """The members on the way to a place, and whether each item of it is meant."""
    return tuple((one.removesuffix("[*]"), one.endswith("[*]")) for one in at.split(".") if one)


def _join(path: str, relative: str) -> str:
    return f"{path}.{relative}" if path and relative else path or relative


def _look_up(node: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _message_expression(sentence: str) -> str:
    """``a ({b}) c`` as the CEL expression ``'a (%s) c'.format([self.b])``.

    Not ``'a (' + string(self.b) + ') c'``: an API server cannot bound the length of
    ``string()`` and refuses the whole CRD for its cost.
    """
    text = _QUOTED.sub(" (%s)", sentence)
    members = ", ".join(f"self.{name}" for name in _QUOTED.findall(sentence))
    return f"{_cel_string(text)}.format([{members}])"


def _cel_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

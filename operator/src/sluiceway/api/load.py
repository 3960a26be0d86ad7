"""From YAML to objects: many documents, any number of files, every problem at once.

A file may hold other things beside ours (a Deployment, a Secret); they are counted
and left alone. YAML is read as Kubernetes reads it: no dates, no numbers to the base
60, and a key that stands twice is an error, because one of the two is not meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from sluiceway.api.problem import Problem
from sluiceway.api.taskqueue import GROUP, TaskQueue
from sluiceway.api.validate import MODELS, Object, Verdict, judge

TEXT = "<text>"
"""What a source is called that is not a file."""


class UnreadableError(Exception):
    """A source that cannot be read, or that is not YAML; says where and why, in a line."""


class InvalidError(Exception):
    """Objects with problems; says all of them, a line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


NOT_JUDGED = Verdict(object=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One object of a source, and what there is to say of it."""

    source: str
    """The file's name as it was given."""
    name: str
    """``TaskQueue/exports``, or with its namespace ``TaskQueue/shop/exports``."""
    kind: str
    ours: bool
    """Whether it is for Sluiceway; the rest is not looked at."""
    verdict: Verdict = NOT_JUDGED

    def line(self, problem: Problem) -> str:
        """One line that says where a problem of this document is, and what it is."""
        return f"{self.source}: {self.name}: {problem}"


def load(source: str | Path, *, in_cluster: bool = False) -> list[Object]:
    """All TaskQueues and WorkerClasses of a file or of a text, in their order.

    Args:
        source: a ``Path`` is a file, a ``str`` is YAML itself.
        in_cluster: also ask for what only a cluster needs, as an image.

    Raises:
        UnreadableError: the file cannot be read, or it is not YAML.
        InvalidError: at least one object has a problem; it says all of them.
    """
    documents = read(source, in_cluster=in_cluster)
    lines = [d.line(problem) for d in documents for problem in d.verdict.problems]
    if lines:
        raise InvalidError(lines)
    return [d.verdict.object for d in documents if d.verdict.object is not None]


def read(
    source: str | Path, *, in_cluster: bool = False, name: str | None = None
) -> list[Document]:
    """Every object of a file or of a text with what there is to say of it.

    Args:
        source, in_cluster: as for ``load``.
        name: what the source is called in messages; by default its path.

    Raises:
        UnreadableError: the file cannot be read, or it is not YAML.
    """
    if isinstance(source, Path):
        name = name or str(source)
        try:
            source = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UnreadableError(f"{name}: cannot be read: {reason}") from error
    name = name or TEXT
    bodies = [body for parsed in parse(source, name) for body in _flat(parsed)]
    documents = [_document(body, name, index, in_cluster) for index, body in enumerate(bodies)]
    return _without_twins(documents)


def parse(text: str, name: str) -> list[Any]:
    """The documents of a text, as JSON would hold them.

    Raises:
        UnreadableError: it is not YAML as Kubernetes reads it.
    """
    try:
        bodies = [body for body in yaml.load_all(text, Loader=_Loader) if body is not None]
        return [json.loads(json.dumps(body, allow_nan=False)) for body in bodies]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        hint = ": put a text that begins with * in quotes" if "alias" in str(error) else ""
        raise UnreadableError(
            f"{where}: not YAML: {error.problem or error.context}{hint}"
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableError(f"{name}: not YAML: {str(error).splitlines()[0]}") from error


def _flat(body: Any) -> Iterator[Any]:
    """The items of a List, as ``kubectl get -o yaml`` writes one; else the body itself."""
    items = body.get("items") if isinstance(body, Mapping) else None
    if isinstance(items, list) and str(body.get("kind")).endswith("List"):
        yield from items
    else:
        yield body


def _document(body: Any, source: str, index: int, in_cluster: bool) -> Document:
    if not isinstance(body, Mapping):
        problem = Problem(
            path="",
            message="a document must be an object: write apiVersion, kind, metadata and spec",
            value=body,
        )
        return Document(
            source=source,
            name=f"document {index + 1}",
            kind="",
            ours=True,
            verdict=Verdict(object=None, problems=(problem,)),
        )
    kind = str(body.get("kind") or "document")
    name = f"{kind}/{_name_of(body) or f'number {index + 1}'}"
    if not _is_ours(body):
        return Document(source=source, name=name, kind=kind, ours=False)
    verdict = judge(body, in_cluster=in_cluster)
    return Document(source=source, name=name, kind=kind, ours=True, verdict=verdict)


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether somebody meant this for Sluiceway, also where half of the head is missing."""
    version = body.get("apiVersion")
    if isinstance(version, str):
        return version.partition("/")[0] == GROUP
    return str(body.get("kind")) in MODELS or ("kind" not in body and "spec" in body)


def _name_of(body: Mapping[str, Any]) -> str | None:
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        return None
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def _without_twins(documents: list[Document]) -> list[Document]:
    """Of two objects with one name only the last would count: the second says so."""
    seen: set[tuple[str, str]] = set()
    checked = []
    for document in documents:
        found = document.verdict.object
        if found is not None:
            name = found.key if isinstance(found, TaskQueue) else found.metadata.name
            if (found.kind, name) in seen:
                twin = Problem(
                    path="metadata.name",
                    message="is taken by an object further up: rename one, or remove it",
                    value=found.metadata.name,
                )
                document = replace(document, verdict=Verdict(object=None, problems=(twin,)))
            seen.add((found.kind, name))
        checked.append(document)
    return checked


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are all different."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in lines:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} is written twice, first in line {lines[key.value]}: "
                    "remove one of the two",
                    problem_mark=key.start_mark,
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


# Times and numbers to the base 60 («1:30») are YAML 1.1's, not JSON's nor Kubernetes'.
_INT = re.compile(r"^[-+]?(0b[01]+|0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$")
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, _INT if tag == "tag:yaml.org,2002:int" else pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

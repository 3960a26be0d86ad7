"""Writes what a chart says of its values: the README's tables, the schema's descriptions.

One source: the comment above a key in values.yaml says what it means, and ``## …`` above
several begins a table. A key with a comment is told with all that is below it.

    python tools/chart_docs.py            # writes them
    python tools/chart_docs.py --check    # says which are not current, and exits with 1
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHARTS = ROOT / "helm"
CRDS = ROOT / "manifests" / "crds"
SPECS = {
    "workerClasses": ("workerClass", "workerclasses"),
    "taskQueues": ("taskQueue", "taskqueues"),
}
"""Values that hold our own objects' specs → the schema's name for one, and its CRD."""
BEGIN = "<!-- values: made from values.yaml by `make generate` -->\n"
END = "<!-- end of values -->\n"


class ChartDocsError(Exception):
    """A key that nothing is said of; ``str()`` is the sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One documented key of a chart's values."""

    section: str
    path: tuple[str, ...]
    default: Any
    meaning: str


def documented(text: str) -> Iterator[Value]:
    """The keys that have a comment, in their order.

    Raises:
        ChartDocsError: a key has none, nor has any above it.
    """
    lines = text.splitlines()
    sections = [
        (number, line.removeprefix("## "))
        for number, line in enumerate(lines)
        if line.startswith("## ")
    ]

    def walk(node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[Value]:
        for key, value in node.value:
            here, line = (*path, key.value), key.start_mark.line
            if meaning := _comment_above(lines, line):
                section = [name for number, name in sections if number < line][-1]
                default = yaml.safe_load(yaml.serialize(value))
                yield Value(section=section, path=here, default=default, meaning=meaning)
            elif isinstance(value, yaml.MappingNode) and value.value:
                yield from walk(value, here)
            else:
                raise ChartDocsError(f"{'.'.join(here)}: no comment says what it means")

    yield from walk(yaml.compose(text), ())


def _comment_above(lines: list[str], line: int) -> str:
    first = line
    while first and lines[first - 1].lstrip().startswith("# "):
        first -= 1
    return " ".join(one.lstrip().removeprefix("# ") for one in lines[first:line])


def table(values: list[Value]) -> str:
    """The README's part between the marks."""
    written = ""
    section = ""
    for value in values:
        if value.section != section:
            section = value.section
            written += f"\n### {section}\n| key | default | |\n|---|---|---|\n"
        default = json.dumps(value.default, ensure_ascii=False)
        shown = f"`{default}`" if len(default) <= 60 else "see values.yaml"
        meaning = value.meaning.replace("|", "\\|")
        written += f"| `{'.'.join(value.path)}` | {shown} | {meaning} |\n"
    return written + "\n"


def described(schema: dict[str, Any], values: list[Value]) -> dict[str, Any]:
    """The schema with each documented key's meaning as its description."""
    for value in values:
        node = schema
        for name in value.path:
            node = node["properties"][name]
        rest = {name: item for name, item in node.items() if name != "description"}
        node.clear()
        node.update({"description": value.meaning} | rest)
    return schema


def spec_of(plural: str) -> dict[str, Any]:
    """The spec of one of our kinds as JSON schema, from its CRD: closed wherever that is."""
    text = (CRDS / f"{plural}.sluiceway.dev.yaml").read_text(encoding="utf-8")
    (version,) = yaml.safe_load(text)["spec"]["versions"]
    return _closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _closed(node: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: item
        for name, item in node.items()
        if name in ("type", "description", "enum", "pattern", "required")
        or name.startswith(("min", "max"))
    }
    if node.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "number", "string"]
    if "properties" in node:
        kept["properties"] = {name: _closed(item) for name, item in node["properties"].items()}
        kept["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    if "additionalProperties" in node:
        kept["additionalProperties"] = _closed(node["additionalProperties"])
    if "items" in node:
        kept["items"] = _closed(node["items"])
    return kept


def files_of(chart: Path) -> dict[Path, str]:
    """What the two files of a chart are to be.

    Raises:
        ChartDocsError: a key of its values is not documented.
    """
    values = list(documented((chart / "values.yaml").read_text(encoding="utf-8")))
    readme, schema_file = chart / "README.md", chart / "values.schema.json"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    schema = described(json.loads(schema_file.read_text(encoding="utf-8")), values)
    for value, (definition, plural) in SPECS.items():
        if value in schema["properties"]:
            schema["definitions"][definition] = spec_of(plural)
    return {
        readme: before + BEGIN + table(values) + END + after,
        schema_file: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
    }


def main(check: bool) -> int:
    """Write the files, or only say which are not current; the exit code."""
    stale = 0
    for chart in sorted(path.parent for path in CHARTS.glob("*/Chart.yaml")):
        for path, text in files_of(chart).items():
            if path.read_text(encoding="utf-8") == text:
                continue
            if check:
                stale += 1
                print(f"{path.relative_to(ROOT)} is not current; run `make generate`")
            else:
                path.write_text(text, encoding="utf-8")
                print(path.relative_to(ROOT))
    return 1 if stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main(check="--check" in sys.argv[1:]))
    except ChartDocsError as error:
        sys.exit(str(error))

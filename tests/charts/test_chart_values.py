"""The chart's values: what is misspelt is refused by name, and all that there is, is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from charting.helm import Helm, RefusedError
from charting.paths import CHART, ROOT
from charting.sets import SETS, WRONG

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
FOR_PARENTS = {"enabled", "global"}
"""What a chart that has this one as a dependency may write; no template reads it."""


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return dict(SCHEMA["definitions"][node["$ref"].rpartition("/")[2]])
    return node


def paths(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[str]:
    """Where schema and values do not have the same keys."""
    known = resolved(schema).get("properties")
    if known is None or not isinstance(values, dict):
        return
    for name in known.keys() ^ values.keys():
        yield f"{path}{name}"
    for name in known.keys() & values.keys():
        yield from paths(known[name], values[name], f"{path}{name}.")


@pytest.mark.parametrize(("values", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_its_name(
    helm: Helm, values: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.render(CHART, values)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("values", SETS.values(), ids=SETS)
def test_what_may_be_written_passes_helm_lint_strict(helm: Helm, values: dict[str, Any]) -> None:
    assert helm.findings(CHART, values) == []


def test_every_key_of_the_schema_has_a_default_and_every_default_a_schema() -> None:
    differences = set(paths(SCHEMA, VALUES))
    timings = {
        path for path in differences if path.startswith(("probes.", "resources.")) and "." in path
    }
    assert differences - timings == FOR_PARENTS


def test_every_object_of_the_schema_is_closed_or_kubernetes_own() -> None:
    def open_objects(node: dict[str, Any], path: str) -> Iterator[str]:
        node = resolved(node)
        if node.get("type") == "object" and "additionalProperties" not in node:
            yield path
        for name, item in node.get("properties", {}).items():
            yield from open_objects(item, f"{path}.{name}".lstrip("."))

    assert set(open_objects(SCHEMA, "")) == {
        "global",
        "podSecurityContext",
        "securityContext",
        "affinity",
    }


def test_every_switch_is_turned_by_some_set_of_values() -> None:
    def leaves(values: Any, path: str = "") -> Iterator[str]:
        if isinstance(values, dict) and values:
            for name, item in values.items():
                yield from leaves(item, f"{path}.{name}".lstrip("."))
        else:
            yield path

    def turned(path: str) -> bool:
        return any(
            written == path or written.startswith(f"{path}.")
            for values in SETS.values()
            for written in leaves(values)
        )

    # What Kubernetes, or a table of its own, names below these is not a switch of the chart.
    tables = (
        *("podSecurityContext", "securityContext", "resources", "probes"),
        *("metrics.prometheusRule.alerts", "metrics.dashboard.labels"),
    )
    assert [
        path for path in leaves(VALUES) if not path.startswith(tables) and not turned(path)
    ] == []


def test_the_readme_and_the_schema_tell_of_the_values_as_they_are_now() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "chart_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

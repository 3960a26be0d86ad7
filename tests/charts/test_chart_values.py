"""The charts' values: what is misspelt is refused by name, and all that there is, is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charting.app_sets import APP_SETS, APP_WRONG
from charting.helm import Helm, RefusedError
from charting.paths import APP, CHART, ROOT
from charting.sets import SETS, WRONG

CHARTS = {CHART: (SETS, WRONG), APP: (APP_SETS, APP_WRONG)}
RIGHT_CASES = [
    pytest.param(chart, values, id=f"{chart.name}: {name}")
    for chart, (sets, _) in CHARTS.items()
    for name, values in sets.items()
]
WRONG_CASES = [
    pytest.param(chart, values, words, id=f"{chart.name}: {name}")
    for chart, (_, wrong) in CHARTS.items()
    for name, (values, words) in wrong.items()
]
each_chart = pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)

# What Kubernetes, or a table of its own, names below these is not a switch of the chart.
TABLES = (
    *("podSecurityContext", "securityContext", "probes", "taskQueueDefaults"),
    *("metrics.prometheusRule.alerts", "metrics.dashboard.labels"),
)
FOR_PARENTS = {"enabled", "global"}
"""What a chart that has this one as a dependency may write; no template reads it."""


def values_of(chart: Path) -> Any:
    return yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))


def schema_of(chart: Path) -> dict[str, Any]:
    """Without references: what they refer to stands in their place."""
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))

    def resolved(node: Any) -> Any:
        if isinstance(node, list):
            return [resolved(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return resolved(schema["definitions"][node["$ref"].rpartition("/")[2]])
        return {name: resolved(item) for name, item in node.items() if name != "definitions"}

    return dict(resolved(schema))


def differences(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[str]:
    """Where schema and values do not have the same keys."""
    known = schema.get("properties")
    if known is None or not isinstance(values, dict):
        return
    for name in known.keys() ^ values.keys():
        yield f"{path}{name}"
    for name in known.keys() & values.keys():
        yield from differences(known[name], values[name], f"{path}{name}.")


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(values, dict) and values:
        for name, item in values.items():
            yield from leaves(item, (*path, name))
    elif path:
        yield path


def of_a_table(path: str) -> bool:
    return path.startswith(TABLES) or "resources" in path.split(".")


@pytest.mark.parametrize(("chart", "values", "words"), WRONG_CASES)
def test_a_wrong_value_is_refused_by_its_name(
    helm: Helm, chart: Path, values: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.render(chart, values)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(("chart", "values"), RIGHT_CASES)
def test_what_may_be_written_passes_helm_lint_strict(
    helm: Helm, chart: Path, values: dict[str, Any]
) -> None:
    assert helm.findings(chart, values) == []


@each_chart
def test_every_key_of_the_schema_has_a_default_and_every_default_a_schema(chart: Path) -> None:
    found = set(differences(schema_of(chart), values_of(chart)))
    assert {path for path in found if not of_a_table(path)} == FOR_PARENTS


@each_chart
def test_every_object_of_the_schema_is_closed_or_kubernetes_own(chart: Path) -> None:
    def open_objects(node: dict[str, Any], path: str) -> Iterator[str]:
        if node.get("type") == "object" and "additionalProperties" not in node:
            yield path
        for name, item in node.get("properties", {}).items():
            yield from open_objects(item, f"{path}.{name}".lstrip("."))

    found = set(open_objects(schema_of(chart), ""))
    assert {path.rpartition(".")[2] for path in found} <= {
        *("global", "podSecurityContext", "securityContext", "affinity", "template"),
    }


def without(values: Any, path: tuple[str, ...]) -> Any:
    """A copy that lacks one key, and what is empty then."""
    first, *rest = path
    inner = without(values[first], rest) if rest else {}
    kept = {name: item for name, item in values.items() if name != first}
    return kept | ({first: inner} if inner else {})


@each_chart
def test_every_key_has_an_effect(helm: Helm, chart: Path) -> None:
    def made_of(values: dict[str, Any]) -> Any:
        try:
            return helm.render(chart, values).files
        except RefusedError as refused:
            return str(refused)

    sets, _ = CHARTS[chart]
    effective = {
        path
        for values in sets.values()
        for path in leaves(values)
        if made_of(values) != made_of(without(values, path))
    }
    idle = [
        ".".join(path)
        for path in leaves(values_of(chart))
        if not any(one[: len(path)] == path for one in effective)
    ]
    assert [path for path in idle if not of_a_table(path)] == []


def test_the_readme_and_the_schema_tell_of_the_values_as_they_are_now() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "chart_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

"""Every YAML, TOML and Python block of the pages is what it says it is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from docs_site import ROOT
from reading.blocks import LOCAL_PAGES, Block, blocks
from testcluster import prometheus

from sluiceway.api.validate import MODELS, validate

SCHEMAS = {
    chart: json.loads((ROOT / "helm" / chart / "values.schema.json").read_text(encoding="utf-8"))
    for chart in ("sluiceway", "celery-app")
}
OTHERS = {
    "apps/v1", "argoproj.io/v1alpha1", "autoscaling/v2", "eksctl.io/v1alpha5",
    "helm.toolkit.fluxcd.io/v2", "karpenter.sh/v1", "keda.sh/v1alpha1",
    "kustomize.config.k8s.io/v1beta1", "kustomize.toolkit.fluxcd.io/v1", "policy/v1",
    "source.toolkit.fluxcd.io/v1", "v1",
}  # fmt: skip
"""Versions of objects that are not ours: a slip in one of these names is found."""

ALL = [pytest.param(block, id=str(block)) for block in blocks("yaml")]


@pytest.mark.parametrize("block", ALL)
def test_a_yaml_block_is_taken_by_whom_it_is_for(block: Block, tmp_path: Path) -> None:
    documents = [one for one in yaml.safe_load_all(block.text) if one is not None]

    assert documents
    for document in documents:
        assert _problems(document, block, tmp_path) == []


def _problems(document: Any, block: Block, tmp_path: Path) -> list[str]:
    if not isinstance(document, dict):
        return [f"{type(document).__name__} is no object"]
    if document.get("kind") in MODELS:
        return [
            str(problem) for problem in validate(document, in_cluster=block.page not in LOCAL_PAGES)
        ]
    if "apiVersion" in document:
        named = document.get("metadata") or document.get("kind") == "Kustomization"
        return [] if document["apiVersion"] in OTHERS and named else [str(document)[:100]]
    if "jobs" in document:
        return _workflow_problems(block, tmp_path)
    if "scrape_configs" in document:
        return _prometheus_problems(block, tmp_path)
    told = {chart: _values_problem(document, schema) for chart, schema in SCHEMAS.items()}
    return [] if None in told.values() else [f"{chart}: {why}" for chart, why in told.items()]


def _values_problem(values: Any, schema: dict[str, Any]) -> str | None:
    try:
        jsonschema.validate(values, schema)
    except jsonschema.ValidationError as error:
        return error.message
    return None


def _workflow_problems(block: Block, tmp_path: Path) -> list[str]:
    file = tmp_path / "workflow.yaml"
    file.write_text(block.text, encoding="utf-8")
    tool = Path(sys.executable).with_name("check-jsonschema")
    ended = subprocess.run(
        [tool, "--builtin-schema", "vendor.github-workflows", file],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [] if ended.returncode == 0 else [ended.stdout]


def _prometheus_problems(block: Block, tmp_path: Path) -> list[str]:
    promtool = prometheus.program("promtool")
    if promtool is None:
        pytest.skip(f"promtool {prometheus.MISSING}")
    config = yaml.safe_load(block.text)
    for scraped in config["scrape_configs"]:
        # Debian's is built without Kubernetes.
        assert [one["role"] for one in scraped.pop("kubernetes_sd_configs")] == ["pod"]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    ended = subprocess.run(
        [promtool, "check", "config", file], capture_output=True, text=True, check=False
    )
    return [] if ended.returncode == 0 else [ended.stderr]


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b)) for b in blocks("python")])
def test_a_python_block_is_python(block: Block) -> None:
    assert ast.parse(block.text).body


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b)) for b in blocks("toml", "json")])
def test_a_toml_or_json_block_can_be_read(block: Block) -> None:
    assert (tomllib.loads if block.language == "toml" else json.loads)(block.text)


def test_every_block_of_commands_or_yaml_says_its_language_or_nobody_tests_it() -> None:
    looks = re.compile(r"^(\$ |apiVersion:|(sluiceway|kubectl|helm|make|pip) )", re.MULTILINE)
    assert [str(block) for block in blocks("") if looks.search(block.text)] == []

"""Workflows, templates and hooks are what their readers take, and name what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import release_version
import yaml
from docs_site import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yaml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
MAKE = set(re.findall(r"^([a-z-0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def checked(schema: str, *files: Path) -> str:
    """What the vendored schema has against these files; empty when nothing."""
    tool = Path(sys.executable).with_name("check-jsonschema")
    ended = subprocess.run(
        [tool, "--builtin-schema", f"vendor.{schema}", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def test_github_takes_the_workflows_forms_and_update_rules() -> None:
    assert checked("github-workflows", *WORKFLOWS) == ""
    assert checked("github-issue-forms", *FORMS) == ""
    assert checked("github-issue-config", GITHUB / "ISSUE_TEMPLATE" / "config.yml") == ""
    assert checked("dependabot", GITHUB / "dependabot.yml") == ""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_exists_in_the_checkout(path: Path) -> None:
    for command in _commands(path):
        for target in re.findall(r"\bmake ([a-z-0-9]+)", command):
            assert target in MAKE
        for file in re.findall(
            r"(?:^|\s)((?:tools|tests|helm|manifests)/[\w./-]+)(?=\s|$)", command
        ):
            assert (ROOT / file).exists(), file


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_more_rights_than_it_says_and_ends_in_time(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "uses" in job or "timeout-minutes" in job
        for step in job.get("steps", ()):
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_the_last_job_of_ci_waits_for_every_other() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows" / "ci.yaml").read_text(encoding="utf-8"))["jobs"]

    assert set(jobs["all"]["needs"]) == set(jobs) - {"all"}


def test_every_image_of_the_dockerfile_and_every_chart_is_released() -> None:
    text = (GITHUB / "workflows" / "release.yaml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    stages = re.findall(r"^FROM .* AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    targets = [one["target"] for one in jobs["images"]["strategy"]["matrix"]["include"]]

    assert set(targets) == {"operator", "agent", "worker"} <= set(stages)
    charts = {path.parent.name for path in (ROOT / "helm").glob("*/Chart.yaml")}
    assert set(jobs["charts"]["strategy"]["matrix"]["chart"]) == charts


def test_hooks_run_programs_of_the_locked_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    for hook in config["repos"][0]["hooks"]:
        for program in re.findall(r"(?:\.venv/bin|tools)/[\w.-]+", hook["entry"]):
            assert (ROOT / program).exists(), program
        assert re.compile(hook.get("files", ""))


def test_every_place_that_names_the_version_names_the_same() -> None:
    assert len(set(release_version.versions().values())) == 1


def test_a_tag_of_another_version_or_without_a_changelog_is_refused(tmp_path: Path) -> None:
    projects = [f"{folder}/pyproject.toml" for folder in release_version.DISTRIBUTIONS]
    for file in (*projects, "helm/sluiceway/Chart.yaml", "Dockerfile"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    changelog = tmp_path / "CHANGELOG.md"
    version = release_version.versions()["operator/pyproject.toml"]

    changelog.write_text("# Changelog\n\n## [Unreleased]\n", encoding="utf-8")
    assert release_version.problems("v9.9.9", tmp_path)[0] == (
        f"operator/pyproject.toml says {version}: write 9.9.9, or tag v{version}"
    )
    assert release_version.problems(f"v{version}", tmp_path) == [
        f"CHANGELOG.md has no part «## [{version}]»: name what stands under «Unreleased»"
    ]
    changelog.write_text(f"# Changelog\n\n## [{version}]\n- All.\n\n## [0.0.1]\n", encoding="utf-8")
    assert release_version.problems(f"v{version}", tmp_path) == []
    assert release_version.notes(version, tmp_path) == "- All."


def _commands(path: Path) -> list[str]:
    workflow: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        step["run"]
        for job in workflow["jobs"].values()
        for step in job.get("steps", ())
        if "run" in step
    ]

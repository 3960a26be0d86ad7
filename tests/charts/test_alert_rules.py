"""The alerts fire when they should, and not otherwise, as Prometheus itself evaluates them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from charting.helm import Helm
from charting.paths import CHART
from testcluster import prometheus

CASES = Path(__file__).with_name("alert_cases.yaml")
Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def promtool() -> Promtool:
    """Prometheus' own program for rules."""
    program = prometheus.program("promtool")
    if program is None:
        pytest.skip(f"promtool {prometheus.MISSING}")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def rules(helm: Helm) -> dict[str, Any]:
    """The chart's, as a Prometheus reads them."""
    made = helm.render(CHART, {"metrics": {"prometheusRule": {"enabled": True}}})
    return dict(made.one("PrometheusRule")["spec"])


def test_prometheus_takes_the_rules_and_their_sentences(
    promtool: Promtool, rules: dict[str, Any], tmp_path: Path
) -> None:
    written = tmp_path / "rules.yaml"
    written.write_text(yaml.safe_dump(rules), encoding="utf-8")
    done = promtool("check", "rules", written)
    assert done.returncode == 0, done.stderr


def test_each_alert_fires_on_its_trouble_and_on_no_other(
    promtool: Promtool, rules: dict[str, Any], tmp_path: Path
) -> None:
    # The cases are about when; the sentences would have to be repeated word for word.
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    cases = tmp_path / "cases.yaml"
    text = CASES.read_text(encoding="utf-8")
    cases.write_text(text.replace("[RULES]", "[rules.yaml]"), encoding="utf-8")
    done = promtool("test", "rules", cases)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(
    rules: dict[str, Any],
) -> None:
    names = {rule["alert"] for rule in rules["groups"][0]["rules"]}
    tests = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    expected = [case for test in tests for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in expected if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in expected if not case.get("exp_alerts")} == names

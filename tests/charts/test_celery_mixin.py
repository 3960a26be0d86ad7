"""What celery-mixin's alerts ask is found in our metrics, and fires when it should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from charting.promql import asked
from testcluster import prometheus

from sluiceway.report.celery_metrics import CELERY_METRICS

HERE = Path(__file__).parent
RULES = HERE / "celery_mixin_rules.yaml"
CASES = HERE / "celery_mixin_cases.yaml"
LABELS = {metric.name: {*metric.labels} for metric in CELERY_METRICS}


def test_its_alerts_fire_on_what_the_operator_tells(tmp_path: Path) -> None:
    promtool = prometheus.program("promtool")
    if promtool is None:
        pytest.skip(f"promtool {prometheus.MISSING}")
    cases = tmp_path / "cases.yaml"
    text = CASES.read_text(encoding="utf-8").replace("[RULES]", f"[{RULES}]")
    cases.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_series_of_the_cases_has_the_labels_that_the_operator_gives() -> None:
    tests = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    for series in (one["series"] for test in tests for one in test["input_series"]):
        ((name, *_),) = {one[:1] for one in asked(series).matched}
        labels = {label for _, label, _ in asked(series).matched}
        assert labels - {"job", "pod"} == LABELS[name]

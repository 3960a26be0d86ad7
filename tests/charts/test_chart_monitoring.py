"""Alerts and dashboard ask for what the operator tells, by its names and labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from charting.helm import Helm
from charting.paths import CHART, ROOT
from charting.promql import asked
from charting.sets import SETS

from sluiceway.decide.decision import Reason
from sluiceway.report.metrics import FLEET_GAUGES, FLEET_METRICS, OPERATOR_METRICS, Kind

ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads(
    (CHART / "files" / "dashboards" / "overview.json").read_text(encoding="utf-8")
)
OF_THE_TARGET = {"namespace", "pod", "job"}
"""Labels that Prometheus puts on every series, where it has none of that name."""

LABELS = {metric.name: {*metric.labels} for metric in (*FLEET_METRICS, *OPERATOR_METRICS)} | {
    f"{metric.name}_{part}": {"le"} if part == "bucket" else set()
    for metric in OPERATOR_METRICS
    if metric.kind is Kind.HISTOGRAM
    for part in ("bucket", "sum", "count")
}


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries() -> dict[str, str]:
    """Where it is asked → the expression."""
    found = {name: alert["expr"].replace("$threshold", "1") for name, alert in ALERTS.items()}
    for panel in panels():
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(
                r"label_values\((.*), (\w+)\)", variable["query"]["query"]
            ).groups()  # type: ignore[union-attr]
            found[f"${variable['name']}"] = f"max by ({label}) ({metric})"
    return found


QUERIES = queries()


each_query = pytest.mark.parametrize("expression", QUERIES.values(), ids=QUERIES)


@each_query
def test_a_query_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    query = asked(expression)
    assert query.metrics
    assert [name for name in query.metrics if name not in LABELS] == []
    for name, label, _ in query.matched:
        assert label in LABELS[name] | OF_THE_TARGET
    assert query.grouped <= set().union(*(LABELS[name] for name in query.metrics)) | OF_THE_TARGET


@each_query
def test_a_query_asks_for_reasons_and_states_that_there_are(expression: str) -> None:
    known = {
        "reason": {reason.value for reason in Reason},
        "state": {"ready", "starting", "draining", "silent"},
        "result": {"written", "failed"},
        "direction": {"up", "down"},
    }
    for _, label, value in asked(expression).matched:
        assert label not in known or value in known[label]


@each_query
def test_counters_are_asked_for_their_rise_and_gauges_never(expression: str) -> None:
    query = asked(expression)
    counters = ("_total", "_bucket", "_sum", "_count")
    assert query.risen == [name for name in query.metrics if name.endswith(counters)]


@each_query
def test_numbers_of_a_taskqueue_are_not_added_up_over_replicas(expression: str) -> None:
    # At a hand-over two replicas tell of the same fleet for a moment.
    gauges = {metric.name for metric in FLEET_GAUGES}
    if gauges & {*asked(expression).metrics}:
        assert "max" in expression


def test_every_metric_of_a_taskqueue_is_seen_in_the_dashboard_or_an_alert() -> None:
    seen = {name for expression in QUERIES.values() for name in asked(expression).metrics}
    told = {metric.name for metric in FLEET_METRICS}
    # At once or by polling: the condition Waking says it, and nothing is wrong with it.
    assert told - seen == {"sluiceway_taskqueue_waking_armed"}


def test_every_panel_says_what_it_shows_and_none_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]
    numbers = [panel["id"] for panel in panels()]
    assert len(numbers) == len(set(numbers))


def test_every_panel_asks_the_data_source_that_the_reader_chose() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asking = [panel for panel in panels() if panel["type"] != "row"]
    assert asking
    assert all(panel["datasource"] == chosen for panel in asking)
    assert all(target["datasource"] == chosen for panel in asking for target in panel["targets"])


def test_the_dashboard_comes_out_of_the_chart_as_it_is(helm: Helm) -> None:
    data = helm.render(CHART, SETS["a dashboard"]).one("ConfigMap")["data"]
    assert json.loads(data["sluiceway-overview.json"]) == DASHBOARD


def test_every_alert_can_be_set_and_has_a_paragraph_that_says_what_to_do() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    settings = values["metrics"]["prometheusRule"]["alerts"]
    page = (ROOT / "docs" / "reference" / "alerts.md").read_text(encoding="utf-8")
    assert list(ALERTS) == list(settings) == re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert {name for name, alert in ALERTS.items() if "$threshold" in alert["expr"]} == {
        name for name, setting in settings.items() if "threshold" in setting
    }


def test_alerts_come_out_with_their_settings(helm: Helm) -> None:
    (group,) = helm.render(CHART, SETS["alerts"]).one("PrometheusRule")["spec"]["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"] if "alert" in rule}
    assert rules.keys() == ALERTS.keys() - {"SluicewayAtMaximum"}
    waits = rules["SluicewayTasksWaitTooLong"]
    assert waits["expr"].endswith("> 90")
    assert waits["labels"] == {"severity": "critical", "team": "platform"}
    assert waits["annotations"]["runbook_url"] == (
        "https://docs.example/alerts#sluicewaytaskswaittoolong"
    )
    assert "$labels.queue" in waits["annotations"]["summary"]
    assert not any("$threshold" in rule["expr"] for rule in group["rules"])
    assert group["rules"][-1] == {"record": "fleets", "expr": "count(sluiceway_taskqueue_ready)"}


@pytest.mark.parametrize(
    ("kind", "endpoints"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")]
)
def test_a_series_keeps_the_namespace_of_its_taskqueue(
    helm: Helm, kind: str, endpoints: str
) -> None:
    monitor = helm.render(CHART, {"metrics": {"monitor": {"enabled": True, "kind": kind}}})
    (endpoint,) = monitor.one(kind)["spec"][endpoints]
    assert endpoint == {"port": "http", "path": "/metrics", "honorLabels": True}

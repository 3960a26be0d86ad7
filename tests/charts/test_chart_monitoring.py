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
from sluiceway.report.celery_metrics import CELERY_METRICS
from sluiceway.report.fleet_metrics import FLEET_GAUGES, FLEET_METRICS
from sluiceway.report.metric import Kind, Metric
from sluiceway.report.operator_metrics import OPERATOR_METRICS

ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((CHART / "files" / "dashboards").glob("*.json"))
}
OF_THE_TARGET = {"namespace", "pod", "job"}
"""Labels that Prometheus puts on every series, where it has none of that name."""

METRICS: tuple[Metric, ...] = (*FLEET_METRICS, *OPERATOR_METRICS, *CELERY_METRICS)
LABELS = {metric.name: {*metric.labels} for metric in METRICS} | {
    f"{metric.name}_{part}": {*metric.labels} | ({"le"} if part == "bucket" else set())
    for metric in METRICS
    if metric.kind is Kind.HISTOGRAM
    for part in ("bucket", "sum", "count")
}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries() -> dict[str, str]:
    """Where it is asked → the expression."""
    found = {name: alert["expr"].replace("$threshold", "1") for name, alert in ALERTS.items()}
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel.get("targets", ()):
                found[f"{name}: {panel['title']} {target['refId']}"] = target["expr"]
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(
                    r"label_values\((.*), (\w+)\)", variable["query"]["query"]
                ).groups()  # type: ignore[union-attr]
                found[f"{name}: ${variable['name']}"] = f"max by ({label}) ({metric})"
    return found


QUERIES = queries()


each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
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


def test_every_metric_of_a_taskqueue_is_seen_in_a_dashboard_or_an_alert() -> None:
    seen = {name for expression in QUERIES.values() for name in asked(expression).metrics}
    told = {metric.name for metric in FLEET_METRICS}
    # At once or by polling: the condition Waking says it, and nothing is wrong with it.
    assert told - seen == {"sluiceway_taskqueue_waking_armed"}


@each_dashboard
def test_every_panel_says_what_it_shows_and_none_lies_over_another(
    dashboard: dict[str, Any],
) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(dashboard):
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
    numbers = [panel["id"] for panel in panels(dashboard)]
    assert len(numbers) == len(set(numbers))


@each_dashboard
def test_every_panel_asks_the_data_source_that_the_reader_chose(
    dashboard: dict[str, Any],
) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    asking = [panel for panel in panels(dashboard) if panel["type"] != "row"]
    assert asking
    assert all(panel["datasource"] == chosen for panel in asking)
    assert all(target["datasource"] == chosen for panel in asking for target in panel["targets"])


def test_the_dashboards_come_out_of_the_chart_as_they_are(helm: Helm) -> None:
    data = helm.render(CHART, SETS["a dashboard"]).one("ConfigMap")["data"]
    rendered = {name: json.loads(text) for name, text in data.items()}
    assert rendered == {f"sluiceway-{name}.json": one for name, one in DASHBOARDS.items()}
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)


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
    assert (endpoint["port"], endpoint["path"], endpoint["honorLabels"]) == (
        "http",
        "/metrics",
        True,
    )


def test_the_fleets_celery_series_have_a_job_that_celery_mixin_looks_for(helm: Helm) -> None:
    def relabelings(**monitor: Any) -> Any:
        values = {"metrics": {"monitor": {"enabled": True, **monitor}}}
        (endpoint,) = helm.render(CHART, values).one("ServiceMonitor")["spec"]["endpoints"]
        return endpoint.get("metricRelabelings")

    job = {
        "sourceLabels": ["__name__"],
        "regex": "celery_.*",
        "targetLabel": "job",
        "replacement": "celery-sluiceway",
    }
    mine = {"action": "labeldrop", "regex": "pod"}
    assert relabelings() == [job]
    assert relabelings(metricRelabelings=[mine]) == [job, mine]
    assert relabelings(celeryJob="") is None

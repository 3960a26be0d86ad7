"""How /metrics is written down: formats, names, pieces, and nothing that is not declared."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)

from sluiceway.decide.observation import QueueView
from sluiceway.report.celery_metrics import CELERY_METRICS
from sluiceway.report.exposition import exposition, registry_of
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.fleet_metrics import FLEET_METRICS
from sluiceway.report.metric import Kind
from sluiceway.report.operator_metrics import OPERATOR_METRICS
from sluiceway.report.work import NO_WORK
from tests.unit.metering import VIDEO, View, operator, scraped, status


def test_who_asks_for_open_metrics_is_given_it() -> None:
    fleets = FleetMeters()
    fleets.add(status())

    pieces, media_type = exposition(
        fleets, registry_of(operator()), "application/openmetrics-text; version=1.0.0"
    )
    text = b"".join(pieces)

    assert media_type.startswith("application/openmetrics-text")
    names = {family.name for family in open_metrics_families(text.decode())}
    assert "sluiceway_taskqueue_drains" in names


def test_names_with_quotes_and_line_breaks_in_them_are_read_back_as_they_are() -> None:
    odd = 'a "queue"\\with\nall'
    meters = FleetMeters()
    meters.add(status(queues=(QueueView(name=odd, length=7),)))

    assert scraped(meters)["sluiceway_queue_length"] == [(VIDEO | {"queue": odd}, 7)]


def test_thousands_of_taskqueues_come_in_pieces_none_of_which_is_large() -> None:
    meters = FleetMeters()
    for n in range(3_000):
        meters.add(status(f"shop/{n}", work=NO_WORK))

    pieces, _ = exposition(meters, registry_of(), "")
    sizes = [piece.count(b"\n") for piece in pieces]

    assert sum(sizes) > 90_000
    assert max(sizes) < sum(sizes) / 10


def test_all_that_is_exposed_is_declared() -> None:
    fleets = FleetMeters()
    fleets.add(status())
    fleets.dead_letters("shop/video", 0)
    suffix = re.compile(r"_(bucket|count|sum)$")

    exposed = {
        name if not name.startswith("sluiceway_tick_duration") else suffix.sub("", name)
        for name in scraped(fleets, operator(pods=View(synced=True)))
        if name.startswith("sluiceway_")
    }
    exposed |= {
        suffix.sub("", name) if "time_" in name else name
        for name in scraped(fleets)
        if name.startswith("celery_")
    }

    declared = {metric.name for metric in (*FLEET_METRICS, *OPERATOR_METRICS, *CELERY_METRICS)}
    assert exposed == declared - {"sluiceway_kubernetes_requests_total"}  # nothing was asked


@pytest.mark.parametrize("metric", [*FLEET_METRICS, *OPERATOR_METRICS], ids=lambda m: m.name)
def test_names_follow_the_rules_of_promtool_check_metrics(metric: Any) -> None:
    parts = metric.name.split("_")

    assert metric.help
    assert parts[0] == "sluiceway"
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name), "snake_case, and no colon"
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)
    assert not {"le", "quantile"} & set(metric.labels)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not metric.name.endswith(("_count", "_sum", "_bucket"))
    assert not {"gauge", "counter", "histogram", "summary"} & set(parts)
    abbreviations = {"s", "ms", "us", "ns", "sec", "m", "min", "h", "d", "b", "kb", "mb", "gb"}
    assert not abbreviations & set(parts)
    not_base = {"minutes", "hours", "days", "milliseconds", "kilobytes", "megabytes", "percent"}
    assert not not_base & set(parts)

"""The fleets' Celery metrics: sums that outlive workers, gauges of those that exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family

from sluiceway.report.celery_metrics import CELERY_GAUGES, TASK_COUNTERS, TASK_TIMES
from sluiceway.report.status import FleetStatus
from sluiceway.report.tally import Sums, Tally
from sluiceway_worker.wire import BOUNDS_S

_BOUNDS = (*map(str, BOUNDS_S), "+Inf")


class CeleryMeters:
    """By fleet, for as long as it exists and this replica leads."""

    def __init__(self) -> None:
        """No TaskQueue yet."""
        self._tallies: dict[str, Tally] = {}

    def add(self, status: FleetStatus) -> None:
        """A fleet was looked at."""
        self._tallies.setdefault(status.fleet, Tally()).add(status.work, status.at)

    def drop(self, fleet: str) -> None:
        """A TaskQueue is gone."""
        self._tallies.pop(fleet, None)

    def clear(self) -> None:
        """This replica does not lead any more."""
        self._tallies.clear()

    def collect(self, statuses: Mapping[str, FleetStatus]) -> Iterator[Family]:
        """All series as they are now; may be called in another thread."""
        tasks = [
            ((*fleet.split("/", 1), *key), sums)
            for fleet, tally in tuple(self._tallies.items())
            for key, sums in tuple(tally.sums.items())
        ]
        yield from _counters(tasks)
        yield from _times(tasks)
        for gauge in CELERY_GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for fleet, status in statuses.items():
                for labels, value in gauge.read(status):
                    family.add_metric((*fleet.split("/", 1), *labels), value)
            yield family


_Tasks = list[tuple[tuple[str, ...], Sums]]


def _counters(tasks: _Tasks) -> Iterator[Family]:
    for counter in TASK_COUNTERS:
        family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
        for who, sums in tasks:
            for labels, value in tuple(counter.read(sums)):
                family.add_metric((*who, *labels), value)
        yield family


def _times(tasks: _Tasks) -> Iterator[Family]:
    for times in TASK_TIMES:
        histogram = HistogramMetricFamily(times.name, times.help, labels=times.labels)
        for who, sums in tasks:
            counts, sum_s = times.read(sums)
            buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
            histogram.add_metric(who, buckets, sum_s)
        yield histogram

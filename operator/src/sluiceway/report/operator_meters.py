"""The numbers behind the operator's own metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Protocol

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from sluiceway.report import operator_metrics as metrics
from sluiceway.report.metric import Kind, Metric
from sluiceway.report.operator_metrics import TICK_BUCKETS_S


class Watching(Protocol):
    """The part of a watch that is told."""

    @property
    def synced(self) -> bool:
        """Whether its view was whole once."""

    @property
    def stale_since(self) -> float | None:
        """When the view was last known to be true, on the watch's clock; None while it is."""


class OperatorMeters(Collector):
    """What is told of the operator itself."""

    def __init__(
        self,
        *,
        version: str,
        leads: Callable[[], bool],
        watches: Mapping[str, Watching],
        clock: Callable[[], float],
    ) -> None:
        """Nothing counted yet.

        Args:
            leads: whether this replica is the one that acts.
            watches: by resource, such as ``pods``; may grow later.
            clock: the clock of the watches, seconds.
        """
        self._version = version
        self._leads = leads
        self._watches = watches
        self._clock = clock
        self._ticks = [0] * (len(TICK_BUCKETS_S) + 1)
        self._ticking_s = 0.0
        self._status_writes = Counter({("written",): 0, ("failed",): 0})
        self._requests: Counter[tuple[str, ...]] = Counter()

    def ticked(self, duration_s: float) -> None:
        """A look at a broker, with all that followed from it, is over."""
        self._ticks[bisect_left(TICK_BUCKETS_S, duration_s)] += 1
        self._ticking_s += duration_s

    def status_written(self, *, failed: bool = False) -> None:
        """A status was sent to the API server."""
        self._status_writes["failed" if failed else "written",] += 1

    def asked(self, verb: str, code: int | None) -> None:
        """The API server was asked.

        Args:
            verb: the HTTP method.
            code: None where no answer came.
        """
        self._requests[verb, "none" if code is None else str(code)] += 1

    def collect(self) -> Iterator[Family]:
        """All series as they are now."""
        build = _family(metrics.BUILD)
        build.add_metric((self._version,), 1)
        leads = _family(metrics.IS_LEADER)
        leads.add_metric((), self._leads())
        synced, stale = _family(metrics.WATCH_SYNCED), _family(metrics.WATCH_STALE)
        now = self._clock()
        for resource, watch in self._watches.items():
            synced.add_metric((resource,), watch.synced)
            if watch.synced:
                since = watch.stale_since
                stale.add_metric((resource,), 0 if since is None else max(0.0, now - since))
        yield from (build, leads, synced, stale, self._tick_durations())
        for metric, counts in (
            (metrics.STATUS_WRITES, self._status_writes),
            (metrics.KUBERNETES_REQUESTS, self._requests),
        ):
            family = _family(metric)
            for labels, count in counts.items():
                family.add_metric(labels, count)
            yield family

    def _tick_durations(self) -> Family:
        family = HistogramMetricFamily(metrics.TICK_DURATION.name, metrics.TICK_DURATION.help)
        bounds = [*map(str, TICK_BUCKETS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._ticks), strict=True))
        family.add_metric((), buckets, self._ticking_s)
        return family


def _family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)

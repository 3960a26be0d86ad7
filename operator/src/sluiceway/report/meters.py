"""The numbers behind /metrics, and how they are written down.

A series belongs to what exists: it is made from the newest status of a TaskQueue when
somebody asks, and is gone with the TaskQueue. So memory is bounded by what exists, and
a deleted fleet leaves no number behind that stands still for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sluiceway.broker.holders import Cause
from sluiceway.report import metrics
from sluiceway.report.celery_meters import CeleryMeters
from sluiceway.report.events import scale_action
from sluiceway.report.metrics import (
    FLEET_COUNTERS,
    FLEET_GAUGES,
    LAST_TICK,
    TICK_BUCKETS_S,
    Counts,
    Kind,
    Metric,
    Sample,
)
from sluiceway.report.series import gauges_and_counters
from sluiceway.report.status import FleetStatus
from sluiceway_worker.recovery import Recovered


class Watching(Protocol):
    """The part of a watch that is told."""

    @property
    def synced(self) -> bool:
        """Whether its view was whole once."""

    @property
    def stale_since(self) -> float | None:
        """When the view was last known to be true, on the watch's clock; None while it is."""


class FleetMeters:
    """What is told of TaskQueues. A Reporter of the ticks (sluiceway.reconcile)."""

    def __init__(self) -> None:
        """No TaskQueue yet."""
        self._statuses: dict[str, FleetStatus] = {}
        self._still_at: dict[str, float] = {}
        """When each was looked at last, where that is later than its status."""
        self._counts: dict[str, Counts] = {}
        self._celery = CeleryMeters()

    def add(self, status: FleetStatus) -> None:
        """A fleet was observed, decided on and acted for."""
        before = self._statuses.get(status.fleet)
        counts = self._counts.setdefault(status.fleet, Counts())
        if (change := scale_action(before, status)) is not None:
            asked_before, asked = change
            counts.raised += asked > asked_before
            counts.lowered += asked < asked_before
        if before is not None:
            # What an earlier leader had asked for is on its count.
            counts.drains += len(set(status.drain) - set(before.drain))
        self._statuses[status.fleet] = status
        self._still_at.pop(status.fleet, None)
        self._celery.add(status)

    def still(self, fleet: str, at: float) -> None:
        """A fleet was looked at, and all is as its last status says."""
        self._still_at[fleet] = at

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        """A fleet's tick ended with an error."""
        self._counts.setdefault(fleet, Counts()).tick_errors += 1

    def went_otherwise(self, fleet: str, count: int) -> None:
        """Kubernetes removed so many pods in place of those that were to go."""
        self._counts.setdefault(fleet, Counts()).removed_otherwise += count

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        """What a dead worker held has come back."""
        counts = self._counts.setdefault(fleet, Counts())
        counts.deaths[cause] += 1
        counts.came_back += recovered.returned
        counts.had_succeeded += recovered.finished

    def dead_letters(self, fleet: str, count: int) -> None:
        """So many dead letters it has now."""
        self._counts.setdefault(fleet, Counts()).dead_letters = count

    def drop(self, fleet: str) -> None:
        """A TaskQueue is gone, and so are its series."""
        self._statuses.pop(fleet, None)
        self._still_at.pop(fleet, None)
        self._counts.pop(fleet, None)
        self._celery.drop(fleet)

    def clear(self) -> None:
        """This replica does not lead any more: what it knew grows old from here on."""
        self._statuses.clear()
        self._still_at.clear()
        self._counts.clear()
        self._celery.clear()

    def text(self, *, open_metrics: bool) -> Iterator[str]:
        """All series, in pieces between which others may have their turn.

        Args:
            open_metrics: whether it is to be OpenMetrics; else Prometheus' own format.
        """
        # Who begins now is told of to the end: the TaskQueues may change between two pieces.
        statuses = [(_who(one.fleet), one) for one in self._statuses.values()]
        counts = [(_who(fleet), one) for fleet, one in self._counts.items()]
        write = partial(
            gauges_and_counters, behind=len(metrics.FLEET_LABELS), open_metrics=open_metrics
        )
        for gauge in FLEET_GAUGES:
            yield from write(gauge, statuses, self._at if gauge is LAST_TICK else gauge.read)
        for counter in FLEET_COUNTERS:
            yield from write(counter, counts, counter.read)
        yield from self._celery.text(statuses, open_metrics=open_metrics)

    def _at(self, status: FleetStatus) -> Iterable[Sample]:
        """When it was looked at last, also where nothing was found to have changed."""
        yield (), self._still_at.get(status.fleet, status.at)


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


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """These, and what is known of the process itself."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def exposition(
    fleets: FleetMeters, registry: CollectorRegistry, accept: str
) -> tuple[Iterator[bytes], str]:
    """All series as text, and its media type. The text comes in pieces, each made when it is
    asked for: with thousands of TaskQueues it is long.

    Args:
        registry: of what is told beside the TaskQueues.
        accept: the request's header of that name; empty for the plain text format.
    """
    encode, media_type = choose_encoder(accept)
    open_metrics = media_type.startswith("application/openmetrics-text")

    def pieces() -> Iterator[bytes]:
        for text in fleets.text(open_metrics=open_metrics):
            if text:
                yield text.encode()
        yield encode(registry)  # at last, for OpenMetrics has a mark at its end

    return pieces(), media_type


def _who(fleet: str) -> str:
    """``namespace/name`` as the first two labels."""
    namespace, _, name = fleet.partition("/")  # neither has a character to be escaped
    return f'namespace="{namespace}",taskqueue="{name}"'


def _family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)

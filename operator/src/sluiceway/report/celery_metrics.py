"""The fleets' metrics under the names that Celery people know, celery-exporter's.

So that its alerts and dashboards work unchanged. What only clients and brokers of other
kinds could say (sent and revoked tasks) is not there: a worker does not know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sluiceway.report.fleet_metrics import lengths
from sluiceway.report.metric import FLEET_LABELS, Kind, Metric, Sample
from sluiceway.report.status import FleetStatus
from sluiceway.report.tally import Sums

BY_TASK = (*FLEET_LABELS, "queue_name", "name")
BY_QUEUE = (*FLEET_LABELS, "queue_name")
BY_WORKER = (*FLEET_LABELS, "hostname")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCounter(Metric):
    """Counted by queue and task name, and by what more its labels say."""

    read: Callable[[Sums], Iterable[Sample]]
    """Label values behind queue_name and name, and the number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskTimesMetric(Metric):
    """A histogram by queue and task name."""

    read: Callable[[Sums], tuple[list[int], float]]
    """Its buckets, each by itself, and the sum in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CeleryGauge(Metric):
    """What a fleet's newest status says."""

    read: Callable[[FleetStatus], Iterable[Sample]]


def _counter(
    state: str, help_: str, read: Callable[[Sums], Iterable[Sample]], *labels: str
) -> TaskCounter:
    return TaskCounter(
        name=f"celery_task_{state}_total",
        kind=Kind.COUNTER,
        help=help_,
        labels=(*BY_TASK, *labels),
        read=read,
    )


def _failed(sums: Sums) -> Iterator[Sample]:
    # Always there, or a ratio of failures would not be told while there are none.
    yield ("",), sums.failed.get("", 0)
    for exception, count in sums.failed.items():
        if exception:
            yield (exception,), count


def _workers_up(status: FleetStatus) -> Iterator[Sample]:
    for worker in status.work.workers:
        yield (worker.name,), worker.up


def _active(status: FleetStatus) -> Iterator[Sample]:
    for worker in status.work.workers:
        if worker.up:
            yield (worker.name,), worker.active


def _worker_count(status: FleetStatus) -> Iterator[Sample]:
    up = sum(worker.up for worker in status.work.workers)
    yield from (((queue.name,), up) for queue in status.queues if status.work.workers)


def _process_count(status: FleetStatus) -> Iterator[Sample]:
    slots = sum(worker.slots for worker in status.work.workers if worker.up)
    yield from (((queue.name,), slots) for queue in status.queues if status.work.workers)


TASK_COUNTERS: tuple[TaskCounter, ...] = (
    _counter(
        "received",
        "Tasks that a worker received and began; what it only holds may be given back.",
        lambda sums: [((), sums.started)],
    ),
    _counter("started", "Tasks that a worker began.", lambda sums: [((), sums.started)]),
    _counter("succeeded", "Tasks that succeeded.", lambda sums: [((), sums.succeeded)]),
    _counter("failed", "Tasks that failed, by the class of their exception.", _failed, "exception"),
    _counter("retried", "Tasks that are to be tried again.", lambda sums: [((), sums.retried)]),
    _counter("rejected", "Tasks that raised Reject.", lambda sums: [((), sums.rejected)]),
)
TASK_TIMES: tuple[TaskTimesMetric, ...] = (
    TaskTimesMetric(
        name="celery_task_runtime",
        kind=Kind.HISTOGRAM,
        help="How long tasks ran, seconds, however they ended.",
        labels=BY_TASK,
        read=lambda sums: (sums.runs, sums.run_sum_s),
    ),
    TaskTimesMetric(
        name="celery_task_queue_wait_time",
        kind=Kind.HISTOGRAM,
        help="How long tasks waited for their start, seconds, from their publishing or ETA; "
        "only of those that carry the stamp.",
        labels=BY_TASK,
        read=lambda sums: (sums.waits, sums.wait_sum_s),
    ),
)
CELERY_GAUGES: tuple[CeleryGauge, ...] = (
    CeleryGauge(
        name="celery_queue_length",
        kind=Kind.GAUGE,
        help="Waiting messages of a Celery queue, summed over its priorities.",
        labels=BY_QUEUE,
        read=lengths,
    ),
    CeleryGauge(
        name="celery_worker_up",
        kind=Kind.GAUGE,
        help="Whether a worker that exists is heard; absent before it was heard once.",
        labels=BY_WORKER,
        read=_workers_up,
    ),
    CeleryGauge(
        name="celery_worker_tasks_active",
        kind=Kind.GAUGE,
        help="Tasks that a worker runs.",
        labels=BY_WORKER,
        read=_active,
    ),
    CeleryGauge(
        name="celery_active_worker_count",
        kind=Kind.GAUGE,
        help="Workers that are heard, by queue.",
        labels=BY_QUEUE,
        read=_worker_count,
    ),
    CeleryGauge(
        name="celery_active_process_count",
        kind=Kind.GAUGE,
        help="Tasks that the workers of a queue can run at once.",
        labels=BY_QUEUE,
        read=_process_count,
    ),
)
CELERY_METRICS: tuple[Metric, ...] = (*TASK_COUNTERS, *TASK_TIMES, *CELERY_GAUGES)

"""Every metric of TaskQueues under our own names: its help text, its labels, what it reads.

What is told of a TaskQueue is read from its newest status. A number that is not known
is absent; it is never 0, or an alert would take a broker that is down for an empty
queue. The rules for names are Prometheus' own (`promtool check metrics`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sluiceway.broker.holders import Cause
from sluiceway.decide.decision import Reason
from sluiceway.report.conditions import Verdict
from sluiceway.report.metric import FLEET_LABELS, Kind, Metric, Sample
from sluiceway.report.status import (
    DEMAND_KNOWN,
    READY,
    WAKING,
    WORKERS_FAILING,
    FleetStatus,
)


@dataclass(slots=True)
class Counts:
    """What happened to one fleet since this replica leads, or since the fleet exists."""

    raised: int = 0
    lowered: int = 0
    drains: int = 0
    tick_errors: int = 0
    removed_otherwise: int = 0
    deaths: Counter[Cause] = field(default_factory=Counter)
    came_back: int = 0
    had_succeeded: int = 0
    dead_letters: int | None = None
    """As they are now; None where nobody has looked yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetGauge(Metric):
    """What a TaskQueue's newest status says, labelled with its namespace and name first."""

    read: Callable[[FleetStatus], Iterable[Sample]]
    """Its series for one TaskQueue; none while the number is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetCounter(Metric):
    """What happened to a TaskQueue, labelled with its namespace and name first."""

    read: Callable[[Counts], Iterable[Sample]]
    """Its series for one TaskQueue."""


def _one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield (), value


def _readable(status: FleetStatus) -> bool:
    """Whether its broker was read, and is the one that its workers use."""
    return status.condition(DEMAND_KNOWN).reason not in (
        Reason.BROKER_UNKNOWN,
        Reason.BROKER_MISMATCH,
    )


def lengths(status: FleetStatus) -> Iterator[Sample]:
    """Waiting messages by queue, as far as they could be read."""
    for queue in status.queues:
        if queue.length is not None and _readable(status):
            yield (queue.name,), queue.length


def _ages(status: FleetStatus) -> Iterator[Sample]:
    for queue in status.queues:
        if not _readable(status):
            continue
        if queue.oldest_wait_s is not None:
            yield (queue.name,), queue.oldest_wait_s
        elif queue.length == 0 or queue.head_eta is not None:
            yield (queue.name,), 0.0


def _scheduled(status: FleetStatus) -> Iterator[Sample]:
    # Workers say it in the same heartbeat as what they run.
    return _one(None if status.in_flight is None else status.scheduled)


def _workers(status: FleetStatus) -> Iterator[Sample]:
    workers = status.workers
    yield ("ready",), workers.ready
    yield ("starting",), workers.starting
    yield ("draining",), workers.draining
    yield ("silent",), workers.silent


def _ready(status: FleetStatus) -> Iterator[Sample]:
    verdict = status.condition(READY).status
    return _one(None if verdict is Verdict.UNKNOWN else verdict is Verdict.TRUE)


def _holds(condition: str) -> Callable[[FleetStatus], Iterator[Sample]]:
    return lambda status: _one(status.condition(condition).status is Verdict.TRUE)


def _broker_up(status: FleetStatus) -> Iterator[Sample]:
    return _one(status.condition(DEMAND_KNOWN).reason != Reason.BROKER_UNKNOWN)


def _failing(status: FleetStatus) -> Iterator[Sample]:
    return _one(status.condition(READY).reason == WORKERS_FAILING)


def _longest_runs(status: FleetStatus) -> Iterator[Sample]:
    return (((name,), for_s) for name, for_s in status.work.longest_s.items())


def _scale_actions(counts: Counts) -> Iterator[Sample]:
    yield ("up",), counts.raised
    yield ("down",), counts.lowered


def _gauge(
    name: str, help_: str, read: Callable[[FleetStatus], Iterable[Sample]], *labels: str
) -> FleetGauge:
    return FleetGauge(
        name=f"sluiceway_{name}",
        kind=Kind.GAUGE,
        help=help_,
        labels=(*FLEET_LABELS, *labels),
        read=read,
    )


def _counter(
    name: str, help_: str, read: Callable[[Counts], Iterable[Sample]], *labels: str
) -> FleetCounter:
    return FleetCounter(
        name=f"sluiceway_{name}",
        kind=Kind.COUNTER,
        help=help_,
        labels=(*FLEET_LABELS, *labels),
        read=read,
    )


LAST_TICK = _gauge(
    "taskqueue_last_tick_timestamp_seconds",
    "When the queues and workers of the TaskQueue were looked at last, Unix time.",
    lambda status: _one(status.at),
)
"""Of a fleet at rest this alone moves: it is looked at, and has no new status."""

FLEET_GAUGES: tuple[FleetGauge, ...] = (
    _gauge(
        "queue_length",
        "Waiting messages of a Celery queue, summed over its priorities.",
        lengths,
        "queue",
    ),
    _gauge(
        "queue_oldest_task_age_seconds",
        "How long the oldest waiting task of a queue has waited; 0 while none waits. "
        "A lower bound where tasks carry no stamp.",
        _ages,
        "queue",
    ),
    _gauge(
        "taskqueue_tasks_in_flight",
        "Messages that workers have taken: reserved and running.",
        lambda status: _one(status.in_flight),
    ),
    _gauge(
        "taskqueue_tasks_scheduled",
        "Messages with an ETA in the future that workers hold, or that are parked.",
        _scheduled,
    ),
    _gauge(
        "taskqueue_tasks_parked",
        "Messages with a far ETA that no worker holds; they come back shortly before it.",
        lambda status: _one(status.parked if _readable(status) else None),
    ),
    _gauge(
        "taskqueue_parked_overdue_seconds",
        "How long ago the first parked message came due; 0 while none has.",
        lambda status: _one(status.overdue_s if _readable(status) else None),
    ),
    _gauge(
        "taskqueue_arrival_rate",
        "Tasks that arrive per second, averaged.",
        lambda status: _one(status.arrival_rate_per_s),
    ),
    _gauge(
        "taskqueue_mean_run_time_seconds",
        "How long a task runs on average, over the last several hundred.",
        lambda status: _one(status.mean_run_time_s),
    ),
    _gauge(
        "taskqueue_target_wait_seconds",
        "How long a task may wait by scaling.target.maxWait; absent where the target is another.",
        lambda status: _one(status.target_wait_s),
    ),
    _gauge(
        "taskqueue_longest_run_seconds",
        "For how long the task of a name has run that runs longest now; absent while none runs.",
        _longest_runs,
        "name",
    ),
    _gauge(
        "taskqueue_longest_task_seconds",
        "The longest that one task may run by worker.longestTask.",
        lambda status: _one(status.longest_task_s),
    ),
    _gauge(
        "taskqueue_visibility_timeout_seconds",
        "After how long the broker delivers a task again that is not acknowledged, as the "
        "workers say; the shortest of theirs.",
        lambda status: _one(status.work.visibility_timeout_s),
    ),
    _gauge(
        "taskqueue_recommended_replicas",
        "The number of workers that demand asks for, before stabilization and limits.",
        lambda status: _one(status.workers.recommended),
    ),
    _gauge(
        "taskqueue_desired_replicas",
        "The number of workers that the fleet should have.",
        lambda status: _one(status.workers.desired),
    ),
    _gauge(
        "taskqueue_asked_replicas",
        "The number of workers asked for now; above the desired one while workers drain.",
        lambda status: _one(status.workers.asked),
    ),
    _gauge(
        "taskqueue_workers",
        "Workers by state: ready (consuming), starting, draining, silent (not heard any more).",
        _workers,
        "state",
    ),
    _gauge(
        "taskqueue_reason",
        "1 for the reason of the last decision; of each TaskQueue one series at a time.",
        lambda status: (((status.reason.value,), 1.0),),
        "reason",
    ),
    _gauge(
        "taskqueue_ready",
        "Whether the fleet has the workers it should have. 0: a person must act; absent: "
        "workers are starting, or it cannot be told.",
        _ready,
    ),
    _gauge(
        "taskqueue_workers_failing",
        "Whether workers that should be there do not stay up.",
        _failing,
    ),
    _gauge(
        "taskqueue_demand_known",
        "Whether the numbers that decisions rest on were read.",
        _holds(DEMAND_KNOWN),
    ),
    _gauge(
        "taskqueue_broker_up",
        "Whether the broker of the TaskQueue could be read.",
        _broker_up,
    ),
    _gauge(
        "taskqueue_waking_armed",
        "Whether the broker says at once that a queue changed; 0 while it is polled.",
        _holds(WAKING),
    ),
    LAST_TICK,
)
"""What a TaskQueue's newest status says, told by the replica that leads."""

FLEET_COUNTERS: tuple[FleetCounter, ...] = (
    _counter(
        "taskqueue_scale_actions_total",
        "Changes of the number of workers asked for, by direction: up or down.",
        _scale_actions,
        "direction",
    ),
    _counter(
        "taskqueue_pods_removed_otherwise_total",
        "Pods that Kubernetes removed in place of those that had drained; they finish what they "
        "run all the same.",
        lambda counts: _one(counts.removed_otherwise),
    ),
    _counter(
        "taskqueue_drains_total",
        "Workers that were asked to drain.",
        lambda counts: _one(counts.drains),
    ),
    _counter(
        "taskqueue_tick_errors_total",
        "Ticks of the TaskQueue that ended with an error; its workers stayed as they were.",
        lambda counts: _one(counts.tick_errors),
    ),
    _counter(
        "taskqueue_worker_deaths_total",
        "Workers that died and may have held messages, by cause: memory, crash, evicted, told "
        "(ended by force when their grace period was over), node (it is gone), silence.",
        lambda counts: (((cause.value,), counts.deaths[cause]) for cause in Cause),
        "cause",
    ),
    _counter(
        "taskqueue_messages_recovered_total",
        "Messages of dead workers that went back to the head of their queue.",
        lambda counts: _one(counts.came_back),
    ),
    _counter(
        "taskqueue_messages_spared_total",
        "Messages of dead workers whose task had succeeded: they were acknowledged.",
        lambda counts: _one(counts.had_succeeded),
    ),
    FleetCounter(
        name="sluiceway_dead_letters",
        kind=Kind.GAUGE,
        help="Messages that are not given out again: too many workers died that ran them.",
        labels=FLEET_LABELS,
        read=lambda counts: _one(counts.dead_letters),
    ),
)
"""What happened to a TaskQueue, told by the replica that leads."""

FLEET_METRICS: tuple[Metric, ...] = (*FLEET_GAUGES, *FLEET_COUNTERS)

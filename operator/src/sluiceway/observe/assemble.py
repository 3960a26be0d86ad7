"""One fleet's ``Observation``, from a reading, the workers that exist and a memory.

Pure: the same arguments give the same observation. Here it is settled what is
known: whatever could not be read becomes ``None`` with a sentence, and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sluiceway.broker.parked import lists_of
from sluiceway.broker.reading import (
    NOTHING_PARKED,
    BrokerReading,
    HeldFacts,
    ParkedFacts,
    QueueFacts,
    WorkerFacts,
)
from sluiceway.decide.observation import Observation, QueueView, WorkerView
from sluiceway.observe.memory import Memory, SeenHead
from sluiceway.observe.queues import queue_view
from sluiceway.observe.reader import Reading
from sluiceway.observe.watched import RunningWorker, Watched
from sluiceway.observe.workers import (
    agent_problem,
    elsewhere,
    fleet_heartbeats,
    in_flight,
    mismatch,
    unheard,
    worker_views,
)

_NO_QUEUE = QueueFacts()
_NO_WORKERS = WorkerFacts()
_NOT_HELD = HeldFacts()


def observe(
    reading: Reading,
    watched: Watched,
    *,
    workers: Iterable[RunningWorker],
    replicas: int,
    memory: Memory,
    now: float,
    rolling_out: bool = False,
    stuck: str | None = None,
) -> tuple[Observation, Memory]:
    """What a decision about this fleet is to be given, and what to remember.

    Args:
        workers: the pods or processes of the fleet that exist.
        replicas: how many workers are asked for at the moment.
        memory: what the last call for this fleet returned; at first ``Memory()``.
        now: the operator's clock, Unix seconds. Ages are taken by the server's.
        rolling_out: more than one generation of workers exists.
        stuck: why more workers would not work either, as a sentence.
    """
    workers = tuple(workers)
    broker = reading.of(watched)
    facts = broker.workers.get(watched.prefix, _NO_WORKERS)
    candidates = (*facts.by_fleet.get(watched.key, ()), *facts.by_fleet.get("", ()))
    heard = fleet_heartbeats(watched, candidates, workers)
    reports = watched.reports or bool(heard)
    # Of a fleet that is to send heartbeats nothing is known without them: what its
    # workers hold stands nowhere else.
    parked = broker.parked.get(watched.prefix, NOTHING_PARKED)
    problem = broker.problem or ((facts.problem or parked.problem) if reports else None)
    if problem is not None:
        return _unknown(
            watched, problem, workers, replicas, memory, now, reports=reports, rolling=rolling_out
        )

    at = now if broker.server_time is None else broker.server_time
    queues, heads = _queues(watched, broker, parked, memory, at)
    views = worker_views(workers, heard, memory.heard, now=now, reports=reports)
    unheard_since = unheard(workers, views, memory.unheard_since, at=at) if reports else {}
    elsewhere_since = elsewhere(broker.facts, heard, memory.elsewhere_since, at=at)
    held = broker.held.get(watched.prefix, _NOT_HELD)
    observation = Observation(
        at=now,
        queues=queues,
        workers=views,
        replicas=replicas,
        mismatch=mismatch(watched, heard, unheard_since, elsewhere_since, at=at),
        agent_problem=agent_problem(watched, heard, unheard_since, at=at),
        unacked=held.count,
        in_flight=in_flight(views, heard) if reports else _held_of(watched, held),
        workers_report=reports,
        missing=_missing(workers, replicas),
        rolling_out=rolling_out,
        stuck=stuck,
    )
    return observation, Memory(
        heads=heads,
        heard={view.name: view for view in views if view.incarnation is not None},
        latest=heard,
        unheard_since=unheard_since,
        elsewhere_since=elsewhere_since,
    )


def _unknown(
    watched: Watched,
    problem: str,
    workers: tuple[RunningWorker, ...],
    replicas: int,
    memory: Memory,
    now: float,
    *,
    reports: bool,
    rolling: bool,
) -> tuple[Observation, Memory]:
    """Nothing is known of the demand; the workers are as they were heard last."""
    observation = Observation(
        at=now,
        queues=tuple(QueueView(name=name, problem=problem) for name in watched.taskqueue.queues),
        workers=worker_views(workers, (), memory.heard, now=now, readable=False, reports=reports),
        replicas=replicas,
        broker_problem=problem,
        workers_report=reports,
        missing=_missing(workers, replicas),
        rolling_out=rolling,
    )
    # While the broker is away no worker can be heard: that time does not count.
    heard = _still(memory.heard, workers)
    return observation, replace(
        memory, heard=heard, latest=(), unheard_since={}, elsewhere_since={}
    )


def _queues(
    watched: Watched, broker: BrokerReading, parked: ParkedFacts, memory: Memory, at: float
) -> tuple[tuple[QueueView, ...], dict[tuple[str, int], SeenHead]]:
    views: list[QueueView] = []
    heads: dict[tuple[str, int], SeenHead] = {}
    for queue in watched.broker_queues:
        facts = broker.queues.get(queue, _NO_QUEUE)
        aside = [parked.lists[one] for one in lists_of([queue]) if one in parked.lists]
        view, seen = queue_view(queue.name, facts, seen=memory.heads, at=at, parked=aside)
        views.append(view)
        heads |= seen
    return tuple(views), heads


def _missing(workers: tuple[RunningWorker, ...], replicas: int) -> int:
    """How many of those asked for do not exist: one that is told to go is none of them."""
    return max(0, replicas - sum(not worker.stopping for worker in workers))


def _held_of(watched: Watched, held: HeldFacts) -> int | None:
    """In-flight work of a fleet that sends no heartbeats, from ``unacked``."""
    if held.count == 0:
        return 0
    if held.by_queue is None:
        return None
    return sum(held.by_queue.get(name, 0) for name in watched.taskqueue.queues)


def _still(
    heard: Mapping[str, WorkerView], workers: tuple[RunningWorker, ...]
) -> dict[str, WorkerView]:
    names = {worker.name for worker in workers}
    return {name: view for name, view in heard.items() if name in names}

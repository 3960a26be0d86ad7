"""The workers of a fleet: those that exist, with what their heartbeats say.

Two sources, and neither is enough. The cluster (or the machine) knows which
workers exist; the broker knows what they do. A worker that exists and says nothing
is starting, or silent, or speaks somewhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sluiceway.broker.facts import BrokerFacts
from sluiceway.broker.reading import Heard
from sluiceway.decide.observation import RunTimes, WorkerState, WorkerView
from sluiceway.observe.watched import RunningWorker, Watched

UNHEARD_GRACE_S = 10.0
"""A worker that is ready is given this long until its first heartbeat."""
ELSEWHERE_GRACE_S = 60.0
"""A worker asks for the server's run id every 30 s: after a restart or a failover its
heartbeats name the server that was for a while."""


def fleet_heartbeats(
    watched: Watched, heard: Iterable[Heard], workers: Iterable[RunningWorker]
) -> tuple[Heard, ...]:
    """The heartbeats of this fleet, the newest incarnation of each worker only.

    A heartbeat that names no fleet is taken by its worker's name.
    """
    names = {worker.name for worker in workers}
    newest: dict[str, Heard] = {}
    for one in heard:
        beat = one.heartbeat
        if beat.fleet != watched.key and not (beat.fleet == "" and beat.name in names):
            continue
        before = newest.get(beat.name)
        # After a restart in the same pod two incarnations are heard for a while.
        if before is None or _started_ago(one) < _started_ago(before):
            newest[beat.name] = one
    return tuple(newest.values())


def worker_views(
    workers: Iterable[RunningWorker],
    heard: Iterable[Heard],
    before: Mapping[str, WorkerView],
    *,
    now: float,
    readable: bool = True,
    reports: bool = True,
) -> tuple[WorkerView, ...]:
    """One view for each worker that exists.

    Args:
        now: on the clock by which the workers were created, Unix seconds.
        heard: this fleet's heartbeats.
        before: the views of those that were heard earlier. Who is not heard any more
            keeps its last numbers: it may still be running what it ran.
        readable: False when no heartbeats could be read; then silence says nothing.
        reports: False where no heartbeats are expected; then a worker that is ready consumes.
    """
    by_name = {one.heartbeat.name: one for one in heard}
    return tuple(
        _view(worker, by_name.get(worker.name), before.get(worker.name), now, readable, reports)
        for worker in workers
    )


def in_flight(views: Iterable[WorkerView], heard: Iterable[Heard]) -> int:
    """Reserved + active of the fleet: as heard, and for the silent ones as heard last."""
    heard = tuple(heard)
    spoken = {one.heartbeat.name for one in heard}
    return sum(one.heartbeat.active + one.heartbeat.reserved for one in heard) + sum(
        view.active + view.reserved for view in views if view.name not in spoken
    )


def unheard(
    workers: Iterable[RunningWorker],
    views: Iterable[WorkerView],
    since: Mapping[str, float],
    *,
    at: float,
) -> dict[str, float]:
    """The workers that are ready and have never been heard, and since when."""
    silent = {view.name for view in views if view.incarnation is None}
    return {
        worker.name: since.get(worker.name, at)
        for worker in workers
        if worker.ready and not worker.stopping and worker.name in silent
    }


def elsewhere(
    facts: BrokerFacts | None, heard: Iterable[Heard], since: Mapping[str, float], *, at: float
) -> dict[str, float]:
    """The workers whose heartbeats name another server than the one read, and since when."""
    # A replica has a run id of its own, and reads the same data.
    if facts is None or not facts.is_primary or not facts.run_id:
        return {}
    beats = [one.heartbeat for one in heard]
    return {
        beat.name: since.get(beat.name, at)
        for beat in beats
        if beat.run_id not in ("", facts.run_id)
    }


def mismatch(
    watched: Watched,
    heard: Iterable[Heard],
    unheard_since: Mapping[str, float],
    elsewhere_since: Mapping[str, float],
    *,
    at: float,
) -> str | None:
    """Say why the broker that is read is not the one that the workers use, if so.

    Workers of another broker are not heard in this one, so it shows in two ways:
    a heartbeat that says it belongs elsewhere, and ready workers of which none speaks.
    """
    heard = tuple(heard)
    for one in heard:
        beat = one.heartbeat
        if watched.address is not None and beat.db != watched.address.db:
            return (
                f"worker {beat.name} uses database {beat.db}, and database "
                f"{watched.address.db} is read; correct the number in spec.broker.url"
            )
        if beat.prefix != watched.prefix:
            return (
                f"worker {beat.name} uses the key prefix «{beat.prefix}», and "
                f"«{watched.prefix}» is read; set spec.broker.keyPrefix to the "
                "application's global_keyprefix"
            )
    if others := _overdue(elsewhere_since, at, ELSEWHERE_GRACE_S):
        return (
            f"worker {others[0]} uses another Redis server than the one that is read; "
            "let spec.broker.url name the application's broker"
        )
    if not heard and (overdue := _overdue(unheard_since, at, UNHEARD_GRACE_S)):
        return (
            f"{len(overdue)} of the workers are ready, and none is heard in broker "
            f"{watched.address}; spec.broker names another broker, database or key prefix than "
            f"the application uses, or {_no_agent(watched, overdue)}"
        )
    return None


def agent_problem(
    watched: Watched,
    heard: Iterable[Heard],
    unheard_since: Mapping[str, float],
    *,
    at: float,
) -> str | None:
    """Say that workers run without the agent that they should have, if so.

    Where others of the fleet are heard, the broker is the right one: those that are ready
    and were never heard have no agent. Where none is heard it may also be the broker.
    """
    overdue = _overdue(unheard_since, at, UNHEARD_GRACE_S)
    if not overdue:
        return None
    if not (speak := sum(1 for _ in heard)):
        return mismatch(watched, (), unheard_since, {}, at=at)
    return (
        f"{len(overdue)} of {len(overdue) + speak} workers are ready and were never heard: "
        f"{_no_agent(watched, overdue)}"
    )


def _no_agent(watched: Watched, names: list[str]) -> str:
    """Why it may be missing in these workers, and the mend."""
    if watched.taskqueue.spec.worker.agent == "inject":
        return (
            "the agent did not start, and they run as plain Celery (its first lines say why: "
            f"kubectl logs {names[0]})"
        )
    return "the image has no sluiceway-worker (then: worker.agent: none)"


def _overdue(since: Mapping[str, float], at: float, grace_s: float) -> list[str]:
    return [name for name, first in since.items() if at - first >= grace_s]


def _started_ago(one: Heard) -> float:
    return one.heartbeat.up_s + one.age_s


def _view(
    worker: RunningWorker,
    one: Heard | None,
    before: WorkerView | None,
    now: float,
    readable: bool,
    reports: bool,
) -> WorkerView:
    if one is None:
        if worker.stopping:
            state = WorkerState.STOPPING
        elif before is None:
            silent_by_nature = not reports and worker.ready
            state = WorkerState.CONSUMING if silent_by_nature else WorkerState.STARTING
        else:
            state = WorkerState.SILENT if readable else before.state
        if before is not None:
            return replace(before, state=state)
        return WorkerView(name=worker.name, state=state)
    beat = one.heartbeat
    running_for_s = None if beat.running_for_s is None else beat.running_for_s + one.age_s
    return WorkerView(
        name=worker.name,
        incarnation=beat.incarnation,
        state=WorkerState.STOPPING if worker.stopping else _state(beat.state),
        slots=beat.slots,
        active=beat.active,
        reserved=beat.reserved,
        scheduled=beat.scheduled,
        earliest_eta=beat.earliest_eta,
        running_for_s=running_for_s,
        processed=beat.processed,
        failed=beat.failed,
        tasks={
            name: RunTimes(count=t.count, sum_s=t.sum_s, sumsq_s2=t.sumsq_s2)
            for name, t in beat.tasks.items()
        },
        waits=beat.waits,
        wait_sum_s=beat.wait_sum_s,
        started_in_s=_cold_start(worker, one, now),
    )


def _cold_start(worker: RunningWorker, one: Heard, now: float) -> float | None:
    """From the wish for it until it consumed; a pod waits for a node and an image first.

    The worker itself knows only of its process, so the longer of the two counts.
    """
    beat = one.heartbeat
    if beat.started_in_s is None or not worker.start_counts:
        return None
    ready_at = now - one.age_s - beat.up_s
    return max(beat.started_in_s, ready_at - worker.created_at)


def _state(said: str) -> WorkerState:
    try:
        return WorkerState(said)
    except ValueError:
        # A word of a newer worker: whatever it means, it is not known to be capacity.
        return WorkerState.SILENT

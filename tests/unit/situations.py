"""Observations and histories as decisions are given them, by their short names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    WorkerState,
    WorkerView,
)

NOW = 1_764_000_000.0


def spec(concurrency: int | None = None, **scaling: Any) -> TaskQueueSpec:
    worker = {} if concurrency is None else {"concurrency": concurrency}
    return TaskQueueSpec.model_validate(
        {"queues": ["video"], "worker": worker, "scaling": {"max_replicas": 40} | scaling}
    )


def queue(length: int | None, **fields: Any) -> QueueView:
    return QueueView(name="video", length=length, **fields)


def worker(name: str, state: WorkerState = WorkerState.CONSUMING, **fields: Any) -> WorkerView:
    heard = state not in (WorkerState.STARTING,)
    return WorkerView(name=name, state=state, incarnation=f"{name}:1" if heard else None, **fields)


def idle_workers(number: int, **fields: Any) -> tuple[WorkerView, ...]:
    return tuple(worker(f"w{i}", **fields) for i in range(number))


def seen(length: int | None = 0, replicas: int = 0, **fields: Any) -> Observation:
    given = {"queues": (queue(length),), "workers": idle_workers(replicas)} | fields
    return Observation(at=NOW, replicas=replicas, **given)


def knows(run_s: float | None = None, *, idle_s: float | None = None, **fields: Any) -> History:
    """A history without a window to wait for, that has learned a run time."""
    times = {} if run_s is None else {"t": RunStats(runs=100, sum_s=100 * run_s)}
    learned = Learned(at=NOW - 1, rate_per_s=0.0, run_times=times, cold_start_s=5.0)
    old: dict[str, Any] = {
        "recommendations": ((NOW - 1000, 0),),
        "idle_since": None if idle_s is None else NOW - idle_s,
        "learned": learned,
    }
    return History(**old | fields)


def knew_of(backlog: int, history: History) -> History:
    """These messages were there at the last reading already."""
    return replace(history, learned=replace(history.learned, backlog=backlog))


DRAIN = WorkerState.DRAINING


DRAINED = WorkerState.DRAINED


STARTING = WorkerState.STARTING

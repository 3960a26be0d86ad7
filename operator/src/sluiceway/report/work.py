"""What the workers of one fleet say that they did and do, for the metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluiceway.broker.reading import Heard
from sluiceway.decide.observation import Observation, WorkerState
from sluiceway_worker.heartbeat import TaskWork


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerAlive:
    """One worker that exists and was heard once."""

    name: str
    up: bool
    """Whether it is heard now."""
    active: int
    slots: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetWork:
    """One fleet's workers at one moment; empty while the broker cannot be read."""

    done: Mapping[str, Sequence[TaskWork]] = field(default_factory=dict)
    """By incarnation, cumulative since its start."""
    longest_s: Mapping[str, float] = field(default_factory=dict)
    """By task name: for how long the one has run that runs longest."""
    workers: Sequence[WorkerAlive] = ()
    visibility_timeout_s: float | None = None
    """The shortest that a worker says; None while none says."""


NO_WORK = FleetWork()


def fleet_work(heard: Sequence[Heard], observation: Observation) -> FleetWork:
    """What a fleet's heartbeats say.

    Args:
        heard: the fleet's own, each worker's newest incarnation only.
    """
    if observation.broker_problem is not None:
        return NO_WORK
    longest: dict[str, float] = {}
    for one in heard:
        for task in one.heartbeat.running:
            for_s = task.for_s + one.age_s
            longest[task.name] = max(longest.get(task.name, 0.0), for_s)
    return FleetWork(
        done={one.heartbeat.incarnation: one.heartbeat.work for one in heard},
        longest_s=longest,
        workers=tuple(
            WorkerAlive(
                name=view.name,
                up=view.state is not WorkerState.SILENT,
                active=view.active,
                slots=view.slots,
            )
            for view in observation.workers
            if view.incarnation is not None
        ),
        visibility_timeout_s=min(
            (one.heartbeat.visibility_timeout_s for one in heard), default=None
        ),
    )

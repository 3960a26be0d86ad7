"""What a worker says of itself, and how it is written in Redis: numbers and names, no arguments.

As ``wire``, both sides import this, and it depends on nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from sluiceway_worker.wire import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TaskTimes:
    """Cumulative run times of one task name in one incarnation, finished runs only."""

    count: int = 0
    sum_s: float = 0.0
    sumsq_s2: float = 0.0


@dataclass(frozen=True)
class TaskWork:
    """What became of one task name from one queue in one incarnation; cumulative."""

    queue: str
    name: str
    started: int = 0
    succeeded: int = 0
    retried: int = 0
    rejected: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """By the exception's class, without its module."""
    run_sum_s: float = 0.0
    runs: list[int] = field(default_factory=list)
    """Ended runs by ``BOUNDS_S``, each bucket by itself; what is missing at the end is 0."""
    wait_sum_s: float = 0.0
    waits: list[int] = field(default_factory=list)
    """Starts whose waiting time is known, likewise."""


@dataclass(frozen=True)
class RunningTask:
    """A task that runs at the moment."""

    queue: str
    name: str
    for_s: float
    """How long, at the time of writing."""


@dataclass(frozen=True)
class Heartbeat:
    """What one incarnation says of itself. Numbers only, never arguments or results.

    Counters are cumulative since the incarnation's start. ``running_for_s`` is a
    duration at the time of writing; add the heartbeat's age to it.
    """

    incarnation: str
    name: str
    """Pod name, or the local worker's name: what the fleet calls this worker."""
    fleet: str
    """``namespace/name`` of the TaskQueue, or ``""`` where nobody said."""
    queues: list[str]
    state: str
    slots: int
    """How many tasks can run at once (the pool's concurrency)."""
    active: int = 0
    """Running now."""
    reserved: int = 0
    """Taken from the broker, not started, and not scheduled for later."""
    scheduled: int = 0
    """Taken and held for a future ETA."""
    earliest_eta: float | None = None
    """The earliest of those ETAs, Unix seconds as the message says."""
    longest_hold_s: float | None = None
    """Of those that are not about to be parked: how long the one is held, from its take to
    its ETA, that is held longest."""
    running_for_s: float | None = None
    """How long the oldest running task has been running; None when none runs."""
    processed: int = 0
    """Runs that ended, however they ended."""
    failed: int = 0
    retried: int = 0
    tasks: dict[str, TaskTimes] = field(default_factory=dict)
    work: list[TaskWork] = field(default_factory=list)
    """By queue and name, at most ``MAX_TASK_NAMES``; the rest are summed under two ``""``."""
    running: list[RunningTask] = field(default_factory=list)
    """At most ``MAX_RUNNING_TOLD``, the longest first."""
    waits: int = 0
    """Starts whose waiting time is known (stamped messages)."""
    wait_sum_s: float = 0.0
    """Sum of start - max(stamp, eta) over those, each clamped at 0."""
    up_s: float = 0.0
    """Seconds since this incarnation was ready to consume for the first time."""
    started_in_s: float | None = None
    """Cold start: seconds from the process' start until it consumed."""
    visibility_timeout_s: float = 3600.0
    acks: str = "mixed"
    """``late``, ``early`` or ``mixed``, as the application's tasks are set."""
    run_id: str = ""
    """The broker's ``run_id``, so that a spec that points elsewhere is noticed."""
    db: int = 0
    prefix: str = ""
    v: int = PROTOCOL

    def to_json(self) -> str:
        """The payload of the heartbeat key; compact, sorted, so equal states are equal bytes."""
        body = dict(
            vars(self),
            tasks={
                name: [t.count, round(t.sum_s, 6), round(t.sumsq_s2, 6)]
                for name, t in self.tasks.items()
            },
            work=[
                [
                    *(w.queue, w.name, w.started, w.succeeded, w.retried, w.rejected, w.failed),
                    *(round(w.run_sum_s, 6), w.runs, round(w.wait_sum_s, 6), w.waits),
                ]
                for w in self.work
            ],
            running=[[r.queue, r.name, round(r.for_s, 3)] for r in self.running],
        )
        return json.dumps(body, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, raw: str | bytes) -> Heartbeat:
        """Read a payload, ignoring fields that a newer worker added.

        Raises:
            ValueError: it is not a heartbeat that this version understands.
        """
        try:
            body: Mapping[str, Any] = json.loads(raw)
            known = {k: v for k, v in body.items() if k in cls.__dataclass_fields__}
            _check_types(known)
            known["tasks"] = {k: TaskTimes(*v) for k, v in body.get("tasks", {}).items()}
            known["work"] = [TaskWork(*one[:11]) for one in body.get("work", ())]
            known["running"] = [RunningTask(*one[:3]) for one in body.get("running", ())]
            return cls(**known)
        except (TypeError, AttributeError, ValueError) as exc:
            raise ValueError(f"not a heartbeat: {exc}") from exc


_TYPES: dict[str, Any] = {
    "str": str,
    "int": (int, float),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "list[str]": list,
}
_TYPED = [(one.name, _TYPES[str(one.type)]) for one in fields(Heartbeat) if one.type in _TYPES]


def _check_types(body: Mapping[str, Any]) -> None:
    """Whatever else writes into the key must not reach whoever counts with it.

    Raises:
        ValueError: a member is of another type.
    """
    for name, type_ in _TYPED:
        if name in body and not isinstance(body[name], type_):
            raise ValueError(f"{name} is {body[name]!r}")

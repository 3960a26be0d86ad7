"""What `sluiceway explain` says of a TaskQueue in a cluster, from its status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from sluiceway.cli.output import to_json
from sluiceway.cli.top_table import NOT_LOOKED_AT, workers
from sluiceway.kube.taskqueues import Change, Condition, Status, TaskQueueSeen
from sluiceway.report.resource_conditions import (
    BROKER_MAY_LOSE_TASKS,
    BROKER_MISMATCH,
    RECONCILING,
    STALLED,
    TIMEOUT_TOO_SHORT,
)
from sluiceway.report.words import number, seconds

_WHILE_TRUE = {
    RECONCILING,
    STALLED,
    BROKER_MISMATCH,
    BROKER_MAY_LOSE_TASKS,
    TIMEOUT_TOO_SHORT,
}
"""Conditions that are there only while something is to be said."""


def is_meant(one: TaskQueueSeen, name: str) -> bool:
    """Whether this is the TaskQueue that is meant: by its name, or a queue of it."""
    return name in (one.metadata.name, *one.queues)


def tell(one: TaskQueueSeen, *, changes: int, now: float) -> Iterator[str]:
    """The lines: the number, what does not hold, and how the last changes came about."""
    status = one.status
    key = one.metadata.key
    if not status.observed_generation:
        yield f"{key}: {NOT_LOOKED_AT}"
        return
    yield f"{key}: {status.message or status.reason or 'nothing is decided yet'}"
    if not one.up_to_date:
        yield "  its spec has changed since, and has not been looked at yet"
    yield f"  workers {workers(status)}; {_demand(status)}"
    yield from _what_does_not_hold(status.conditions, now)
    shown = status.changes[:changes]
    if shown:
        yield "  the last changes, newest first:"
    for change in shown:
        yield from _change(change, now)


def tell_json(one: TaskQueueSeen) -> str:
    """One line: who it is, and the status as the cluster has it."""
    return to_json(
        {
            "namespace": one.metadata.namespace,
            "name": one.metadata.name,
            "status": msgspec.to_builtins(one.status),
        }
    )


def _demand(status: Status) -> str:
    oldest = f" (oldest {status.oldest_task_age})" if status.oldest_task_age else ""
    parts = [
        f"{number(status.waiting)} waiting{oldest}",
        f"{number(status.in_flight)} running",
        f"{number(status.scheduled)} scheduled",
    ]
    if status.arrival_rate:
        parts.append(f"{status.arrival_rate} arrive per second")
    if status.mean_run_time:
        parts.append(f"a task runs {status.mean_run_time}")
    return ", ".join(parts)


def _what_does_not_hold(conditions: Sequence[Condition], now: float) -> Iterator[str]:
    """Several that say the same are one line."""
    told: dict[str, list[Condition]] = {}
    for one in conditions:
        holds = one.status == "True"
        if holds == (one.type in _WHILE_TRUE):
            told.setdefault(one.message, []).append(one)
    for message, same in told.items():
        what = ", ".join(f"{one.type} is {one.status}" for one in same)
        yield f"  {what}{_for(same[0].last_transition_time, now)}: {message}"


def _change(change: Change, now: float) -> Iterator[str]:
    when = ""
    if change.time is not None:
        ago = seconds(now - change.time.timestamp())
        when = f"{change.time.astimezone():%Y-%m-%d %H:%M:%S} ({ago} ago) "
    yield f"    {when}{number(change.from_)} → {number(change.to)}: {change.message}"
    for step in change.steps:
        yield f"      {step.name:>14} {number(step.replicas):>4}  {step.message}"


def _for(since: datetime | None, now: float) -> str:
    return "" if since is None else f" for {seconds(now - since.timestamp())}"

"""What becomes an Event of a TaskQueue: what happened to its fleet, and troubles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluiceway.report.events import Event, Kind
from sluiceway.report.resource_conditions import (
    AGENT_MISSING,
    BROKER_MAY_LOSE_TASKS,
    STALLED,
    WORKERS_REPORT,
)
from sluiceway.report.status import READY, WORKERS_FAILING


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The TaskQueue that an Event is about."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One thing to be told of a TaskQueue."""

    at: float
    """Unix seconds."""
    reason: str
    """What happened, as one word for programs."""
    action: str
    """What was being done, as one word for programs."""
    note: str
    """For people."""
    is_warning: bool = False


_ACTIONS = {
    Kind.SCALED_UP: "Scale",
    Kind.SCALED_DOWN: "Scale",
    Kind.DRAINING: "Drain",
    Kind.RECALLED: "Recall",
    Kind.DEMAND_UNKNOWN: "ReadBroker",
    Kind.DEMAND_KNOWN: "ReadBroker",
    Kind.POLLING: "WatchBroker",
    Kind.TIMEOUT_TOO_SHORT: "ReadBroker",
    Kind.WORKER_ENDED: "RunWorkers",
    Kind.TASKS_CAME_BACK: "Recover",
    Kind.DEAD_LETTERS: "Recover",
    Kind.FAILED: "Reconcile",
}

_WARNINGS = {
    Kind.DEMAND_UNKNOWN,
    Kind.POLLING,
    Kind.TIMEOUT_TOO_SHORT,
    Kind.WORKER_ENDED,
    Kind.TASKS_CAME_BACK,
    Kind.DEAD_LETTERS,
    Kind.FAILED,
}


def notice_of(event: Event) -> Notice:
    """What happened to a fleet, as the cluster is to be told."""
    return Notice(
        at=event.at,
        reason=event.kind.value,
        action=_ACTIONS[event.kind],
        note="\n".join((event.sentence, *event.details)),
        is_warning=event.kind in _WARNINGS,
    )


def notices_between(
    before: Mapping[str, Any], after: Mapping[str, Any], at: float
) -> tuple[Notice, ...]:
    """The troubles that stand in a TaskQueue's status and did not before.

    A trouble whose sentence changes while it lasts is no new one.

    Args:
        before, after: two statuses in a row, as ``resource_status`` makes them.
        at: now, Unix seconds.
    """
    known = _troubles(before)
    return tuple(
        Notice(at=at, reason=reason, action=_TROUBLES[kind], note=note, is_warning=True)
        for (kind, reason), note in _troubles(after).items()
        if (kind, reason) not in known
    )


_TROUBLES = {
    STALLED: "SetUp",
    READY: "RunWorkers",
    BROKER_MAY_LOSE_TASKS: "ReadBroker",
    WORKERS_REPORT: "RunWorkers",
}
"""Conditions that tell of a trouble, and what was being done."""


def _troubles(status: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Condition and reason of each trouble → its sentence."""
    return {
        (one["type"], one["reason"]): one["message"]
        for one in status.get("conditions", ())
        if _is_trouble(one["type"], one["status"], one["reason"])
    }


def _is_trouble(kind: str, status: str, reason: str) -> bool:
    if kind in (STALLED, BROKER_MAY_LOSE_TASKS):
        return status == "True"
    # Of these only some are news: a fleet without an agent is one by choice, and one that
    # starts is in order.
    return (kind, reason) in {(READY, WORKERS_FAILING), (WORKERS_REPORT, AGENT_MISSING)}

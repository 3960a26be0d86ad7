"""What happened to a fleet between two ticks, as lines that people read.

Only changes are events: a fleet that stays as it is says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sluiceway.report.conditions import Verdict
from sluiceway.report.status import DEMAND_KNOWN, WAKING, FleetStatus


class Kind(StrEnum):
    """Stable names: users filter by them."""

    SCALED_UP = "ScaledUp"
    SCALED_DOWN = "ScaledDown"
    DRAINING = "Draining"
    RECALLED = "Recalled"
    DEMAND_UNKNOWN = "DemandUnknown"
    DEMAND_KNOWN = "DemandKnown"
    POLLING = "Polling"
    TIMEOUT_TOO_SHORT = "VisibilityTimeoutTooShort"
    WORKER_ENDED = "WorkerEnded"
    TASKS_CAME_BACK = "TasksCameBack"
    DEAD_LETTERS = "DeadLetters"
    FAILED = "Failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happened to one fleet."""

    at: float
    """Unix seconds."""
    fleet: str
    """``namespace/name``."""
    kind: Kind
    sentence: str
    details: tuple[str, ...] = ()
    """More lines where the sentence is not enough, such as a worker's last words."""


def events_between(before: FleetStatus | None, after: FleetStatus) -> tuple[Event, ...]:
    """What changed from one status to the next; ``before`` is None at a fleet's first one."""
    return tuple(
        Event(at=after.at, fleet=after.fleet, kind=kind, sentence=sentence)
        for kind, sentence in _changes(before, after)
    )


def _changes(before: FleetStatus | None, after: FleetStatus) -> Iterator[tuple[Kind, str]]:
    known = after.condition(DEMAND_KNOWN)
    was_known = before is None or before.condition(DEMAND_KNOWN).status is Verdict.TRUE
    if known.status is Verdict.FALSE and was_known:
        yield Kind.DEMAND_UNKNOWN, f"demand is unknown: {known.message}"
    elif known.status is Verdict.TRUE and not was_known:
        yield Kind.DEMAND_KNOWN, "its queues can be read again"

    waking = after.condition(WAKING)
    was_waking = before is None or before.condition(WAKING).status is Verdict.TRUE
    if waking.status is Verdict.FALSE and was_waking:
        yield Kind.POLLING, waking.message

    if after.timeout_warnings and not (before is not None and before.timeout_warnings):
        yield Kind.TIMEOUT_TOO_SHORT, "; ".join(after.timeout_warnings)

    now = after.workers
    # The first look at a fleet that exists already changes nothing by itself.
    asked = before.workers.asked if before is not None else now.asked_before
    drains = before.workers.asked_to_drain if before is not None else 0
    if now.asked > asked:
        yield Kind.SCALED_UP, f"{asked} → {now.asked} asked for; {after.sentence}"
    elif now.asked < asked:
        yield Kind.SCALED_DOWN, f"{asked} → {now.asked} asked for; {after.sentence}"
    # Who has drained and is let go is no longer asked to drain, and not recalled.
    gone = max(asked - now.asked, 0)
    if now.asked_to_drain > drains:
        yield Kind.DRAINING, f"{_workers(now.asked_to_drain)} to drain; {after.sentence}"
    elif now.asked_to_drain < drains - gone:
        yield Kind.RECALLED, f"{_workers(drains - gone - now.asked_to_drain)} recalled"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def scale_action(before: FleetStatus | None, after: FleetStatus) -> tuple[int, int] | None:
    """The number of workers asked for until this tick, and from it on; None if it stays.

    A change that could not be carried out is decided again by the next tick: it is
    the same one.
    """
    now = after.workers
    if now.asked == now.asked_before:
        return None
    change = (now.asked_before, now.asked)
    if before is not None and (before.workers.asked_before, before.workers.asked) == change:
        return None
    return change

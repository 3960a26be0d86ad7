"""What a decision is: a number of workers, who goes, and why.

No change is a decision too: it has a reason and a sentence like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluiceway.decide.history import History


class Reason(StrEnum):
    """Why the number is what it is. Stable names: users alert on them."""

    IDLE = "Idle"
    COOLING_DOWN = "CoolingDown"
    MEETING_TARGET = "MeetingTarget"
    WORK_WAITING = "WorkWaiting"
    WORK_IN_FLIGHT = "WorkInFlight"
    WORK_SCHEDULED = "WorkScheduled"
    STABILIZED = "Stabilized"
    RATE_LIMITED = "RateLimited"
    WITHIN_TOLERANCE = "WithinTolerance"
    AT_MAXIMUM = "AtMaximum"
    AT_MINIMUM = "AtMinimum"
    SCHEDULE_FLOOR = "ScheduleFloor"
    PAUSED = "Paused"
    DRAINING = "Draining"
    ROLLING_OUT = "RollingOut"
    WORKERS_FAILING = "WorkersFailing"
    BROKER_UNKNOWN = "BrokerUnknown"
    BROKER_MISMATCH = "BrokerMismatch"
    FALLBACK = "Fallback"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the chain that led to the number."""

    name: str
    """demand, recommendation, calm, tolerance, schedules, stabilization, behavior, limits or
    drain; unknown or pause where one of these stands in for the recommendation."""
    replicas: int | None
    """The number after this step; None while none can be told."""
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The outcome of one tick for one fleet."""

    at: float
    current: int
    """The replicas asked for before this decision."""
    recommendation: int | None
    """What demand asks for, before limits; None when demand is unknown."""
    desired: int
    """What the fleet should have, after stabilization, behavior and limits."""
    replicas: int
    """What to ask for now: like ``desired`` going up; going down only as far as
    workers have drained."""
    drain: tuple[str, ...] = ()
    """Incarnations whose drain lease is to be held (set or renewed) now. Whoever
    drains and is not named here is recalled."""
    remove: tuple[str, ...] = ()
    """Worker names that may go now: ``current - replicas`` many, less those that do not
    exist (``Observation.missing``). Empty where the workers do not report: then nobody
    here can tell which of them is free, and Kubernetes chooses."""
    reason: Reason
    sentence: str
    steps: tuple[Step, ...] = ()
    wake_at: float | None = None
    """When to decide again at the latest for a reason of this decision's own
    (a window ends, an ETA comes due), Unix seconds."""
    history: History
    """What the next decision is to be given."""

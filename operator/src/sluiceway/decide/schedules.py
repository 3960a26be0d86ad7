"""Schedule floors: «at least five workers from 02:00 to 04:00 in Paris».

A schedule holds from each occurrence of its cron for a duration of real seconds:
two hours are two hours, also in the night in which the clocks change. cronsim does
the cron arithmetic, by Debian's rules: an occurrence in the hour that spring skips
is moved to the hour's end, one in the hour that autumn repeats happens once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from sluiceway.api.scaling import Schedule

_CLOCK_CHANGE_S = 2 * 3600
"""No zone's clocks jump further; cronsim counts in wall time, where a jump hides it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleFloor:
    """What the schedules ask for at one moment."""

    replicas: int = 0
    """The highest ``minReplicas`` of the active schedules; 0 when none is active."""
    schedule: Schedule | None = None
    """The one that asks for it."""
    until: float | None = None
    """When that one ends, Unix seconds."""
    next_edge: float | None = None
    """When any schedule begins or ends next."""


def floor_at(schedules: Iterable[Schedule], now: float) -> ScheduleFloor:
    """The floor at ``now``; a schedule is active in [occurrence, occurrence + duration)."""
    floor = ScheduleFloor()
    edges = []
    for schedule in schedules:
        begun, next_start = occurrences(schedule, now)
        if next_start is not None:
            edges.append(next_start)
        if begun is None or begun + schedule.duration <= now:
            continue
        end = begun + schedule.duration
        edges.append(end)
        if floor.schedule is None or schedule.min_replicas > floor.replicas:
            floor = ScheduleFloor(replicas=schedule.min_replicas, schedule=schedule, until=end)
    return ScheduleFloor(
        replicas=floor.replicas,
        schedule=floor.schedule,
        until=floor.until,
        next_edge=min(edges, default=None),
    )


def occurrences(schedule: Schedule, now: float) -> tuple[float | None, float | None]:
    """The last occurrence at or before ``now`` and the next one after it, Unix seconds."""
    zone = ZoneInfo(schedule.timezone)
    at = datetime.fromtimestamp(now, zone)
    # Near a change of the clocks an occurrence may lie on the other side of the jump
    # in wall time and on this side in real time: look from beyond it, then compare.
    spread = timedelta(seconds=_CLOCK_CHANGE_S)
    utc = at.astimezone(UTC)
    steady = (utc - spread).astimezone(zone).utcoffset() == (utc + spread).astimezone(
        zone
    ).utcoffset()
    slack = timedelta(seconds=1) if steady else spread
    last = next_start = None
    for found in CronSim(schedule.cron, (utc + slack).astimezone(zone), reverse=True):
        if found.timestamp() <= now:
            last = found.timestamp()
            break
    for found in CronSim(schedule.cron, (utc - slack).astimezone(zone)):
        if found.timestamp() > now:
            next_start = found.timestamp()
            break
    return last, next_start

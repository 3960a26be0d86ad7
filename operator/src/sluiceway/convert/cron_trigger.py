"""KEDA's cron trigger becomes a schedule: a floor from a time on, for a duration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cronsim import CronSim, CronSimError

from sluiceway.convert.result import Draft, seconds

_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_LOOKS = 60


def describe_schedule(draft: Draft, metadata: Mapping[str, Any]) -> None:
    """Add to ``scaling.schedules``; or say why the times make no duration."""
    start, end = str(metadata.get("start")), str(metadata.get("end"))
    duration = _between(start, end)
    if duration is None:
        draft.say(
            f"the cron trigger from {start} to {end} has no one duration: write it as "
            "scaling.schedules with cron, duration and minReplicas"
        )
        return
    draft.spec["scaling"].setdefault("schedules", []).append(
        {
            "cron": start,
            "timezone": str(metadata.get("timezone") or "UTC"),
            "duration": seconds(duration.total_seconds()),
            "minReplicas": int(metadata.get("desiredReplicas", 1)),
        }
    )


def _between(start: str, end: str) -> timedelta | None:
    """From each start to the end that follows it; None where that is not always the same."""
    try:
        starts = CronSim(start, _ANY_DAY)
        found = set()
        for _ in range(_LOOKS):
            begins = next(starts)
            found.add(next(CronSim(end, begins)) - begins)
    except (CronSimError, StopIteration):
        return None
    return found.pop() if len(found) == 1 else None

"""Conditions, as Kubernetes has them: a verdict, a reason for programs, a message for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """A condition's status, as Kubernetes writes it."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One thing that does or does not hold of a fleet."""

    type: str
    status: Verdict
    reason: str
    message: str
    since: float
    """When ``status`` last changed, Unix seconds."""

    def keeping_time_of(self, before: Condition | None) -> Condition:
        """The transition time moves only when the verdict changes."""
        if before is None or before.status is not self.status:
            return self
        if (before.type, before.reason, before.message) == (self.type, self.reason, self.message):
            return before
        return replace(self, since=before.since)

"""Whether a fleet at rest must be decided on anew, or all is as it was. Pure.

Most fleets are at rest most of the time, and what they would be told again has been
told. After some minutes they are decided on all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self
from zlib import crc32

from sluiceway.decide.observation import Observation
from sluiceway.observe import Reading, shows_nothing
from sluiceway.reconcile.edges import Fleet
from sluiceway.report.status import FleetStatus

_STILL_S = 300.0
"""After so long, at most, a fleet is decided on anew though nothing about it has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Still:
    """What a fleet at rest was decided on; as long as this holds, so does the decision."""

    observation: Observation
    trouble: str | None
    not_waking: str | None
    until: float
    """Unix seconds."""

    @classmethod
    def after(
        cls,
        observation: Observation,
        status: FleetStatus,
        *,
        before: FleetStatus | None,
        trouble: str | None,
        not_waking: str | None,
        now: float,
    ) -> Self | None:
        """What to hold on to of a decision to rest; None where its status still moves.

        Args:
            observation: what was decided on.
            status, before: what is told of the fleet now, and what was the last time.
            trouble: why its workers do not stay up, as a sentence.
            not_waking: why the broker cannot say when its queues change, as a sentence.
            now: Unix seconds.
        """
        if not _says_the_same(before, status):
            return None
        # Not all at the same moment.
        lasts_s = _STILL_S * (0.5 + crc32(status.fleet.encode()) / 2**33)
        return cls(
            observation=observation, trouble=trouble, not_waking=not_waking, until=now + lasts_s
        )

    def holds(self, fleet: Fleet, reading: Reading, not_waking: str | None, now: float) -> bool:
        """Whether nothing that can be seen of the fleet is another than it was."""
        return (
            now < self.until
            and fleet.replicas == 0
            and fleet.trouble == self.trouble
            and not_waking == self.not_waking
            and shows_nothing(reading, fleet.watched)
        )


def _says_the_same(before: FleetStatus | None, now: FleetStatus) -> bool:
    """Whether nothing but the time moves."""
    return before is not None and not now.arrival_rate_per_s and replace(before, at=now.at) == now

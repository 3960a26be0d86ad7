"""What one tick of a fleet leaves to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide.chain import decide
from sluiceway.decide.history import History
from sluiceway.observe import Memory
from sluiceway.reconcile.still import Still
from sluiceway.report.status import FleetStatus
from sluiceway.report.visibility import Timeouts

_SET_BACK_S = 5.0
"""By so much at least the time of day must go back to be taken for set back."""


@dataclass(slots=True)
class Past:
    """One fleet's; it outlives the changes of its spec."""

    memory: Memory = field(default_factory=Memory)
    history: History = field(default_factory=History)
    leased: frozenset[str] = frozenset()
    status: FleetStatus | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    acting: bool = False
    """Whether a message would be news that it could act on."""
    still: Still | None = None
    still_at: float | None = None
    """When it was last seen to be still, Unix seconds."""
    stood_by_at: float = float("-inf")
    """When it was last said that it will be started in time, Unix seconds."""
    decided_at: float = float("-inf")
    """Unix seconds."""

    def come_up_to(self, now: float, spec: TaskQueueSpec) -> None:
        """Make it a past of ``now``, Unix seconds: the fleet is to be decided on anew."""
        if now < self.decided_at - _SET_BACK_S:
            # What lies in the future would be waited for until then: it begins anew, as after
            # a change of leaders.
            self.history, self.still, self.stood_by_at = History(), None, float("-inf")
        self.decided_at = now
        self._learn_of_the_rest(spec)

    def _learn_of_the_rest(self, spec: TaskQueueSpec) -> None:
        """Learn from the looks that found the fleet still: the last of them stands for all."""
        still, at = self.still, self.still_at
        self.still = self.still_at = None
        if still is not None and at is not None:
            decision = decide(spec, replace(still.observation, at=at), self.history, at)
            self.history = decision.history

"""Two rules that need no operator: a fixed fleet, and a cloud's target tracking."""

from __future__ import annotations

import math
from collections import deque

from sluiceway.simulate.run import Attention, Change
from sluiceway.simulate.world import World


class Fixed:
    """Always the same number."""

    def __init__(self, replicas: int, *, name: str | None = None) -> None:
        self.name = name or f"fixed at {replicas}"
        self._replicas = replicas

    def look(self, world: World) -> Attention:
        """Ask for them once."""
        if world.replicas != self._replicas:
            world.scale(self._replicas)
        return Attention(at=math.inf)

    def changes(self) -> list[Change]:
        """None worth telling."""
        return []


class TargetTracking:
    """A number in proportion to the backlog of each worker, as clouds' target tracking has it.

    The backlog that one worker may have is the wait target over the mean run time, which
    somebody has measured beforehand and written down: here it is exact. The metric comes
    once a minute; more workers are asked for at once, fewer when all of the last quarter
    of an hour agrees.
    """

    PERIOD_S = 60.0
    FEWER_AFTER = 15
    """Readings that must agree before there are fewer."""

    def __init__(
        self, *, max_wait_s: float, mean_run_s: float, slots: int, low: int, high: int
    ) -> None:
        self.name = "target tracking"
        self._per_worker = max(1.0, slots * max_wait_s / mean_run_s) if mean_run_s else 1.0
        self._low, self._high = max(1, low), high
        self._asked: deque[int] = deque(maxlen=self.FEWER_AFTER)
        self._changes: list[Change] = []

    def look(self, world: World) -> Attention:
        """One reading."""
        backlog = len(world.waiting) + world.running
        wanted = min(max(math.ceil(backlog / self._per_worker), self._low), self._high)
        self._asked.append(wanted)
        if len(self._asked) < self.FEWER_AFTER and wanted < world.replicas:
            wanted = world.replicas
        wanted = max(wanted, min(world.replicas, max(self._asked)))
        if wanted != world.replicas:
            self._changes.append(
                Change(
                    at=world.now,
                    before=world.replicas,
                    replicas=wanted,
                    reason="TargetTracking",
                    sentence=f"{wanted} workers: a backlog of {backlog}, "
                    f"{self._per_worker:g} for each.",
                )
            )
            world.scale(wanted)
        return Attention(at=world.now + self.PERIOD_S)

    def changes(self) -> list[Change]:
        """Each change of the number."""
        return self._changes

"""What one decision remembers for the next: frozen, bounded, handed back and forth.

Nothing else in a fleet's deciding has a memory. ``observed`` is how a reading is
learned from; decide calls it, so callers only carry the value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sluiceway.decide.demand import Demand
from sluiceway.decide.estimate import Learned
from sluiceway.decide.hpa import Rules, Timed, store_event
from sluiceway.decide.observation import Observation


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A change of the number of workers that was asked for and not seen yet."""

    at: float
    before: int
    after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """Workers that have drained, and wait to go with others."""

    at: float = 0.0
    """When they were looked at last, Unix seconds."""
    workers: int = 0
    spent_s: float = 0.0
    """Worker-seconds that they had cost by then, since the number changed last."""

    def cost_s(self, now: float) -> float:
        """Worker-seconds that they have cost."""
        return self.spent_s + self.workers * max(0.0, now - self.at)


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A fleet's past, as far as decisions need it. The empty one is a fresh start."""

    recommendations: tuple[Timed, ...] = ()
    """(Unix seconds, replicas) of the longest window, as far as they can still matter."""
    scale_ups: tuple[Timed, ...] = ()
    """(Unix seconds, how many more), as the HPA stores them."""
    scale_downs: tuple[Timed, ...] = ()
    """(Unix seconds, how many fewer)."""
    asked: Asked | None = None
    """The last decision's change, until an observation shows that it happened: only then
    is it an event, and a change by somebody else is none."""
    raised_at: float | None = None
    """When more workers were asked for last, Unix seconds."""
    since: float | None = None
    """Since when all is known without a break, Unix seconds."""
    aimed: int | None = None
    """The number that the last decision was on its way to."""
    draining: tuple[str, ...] = ()
    """The incarnations that the last decision held a lease for."""
    drained: Drained = field(default_factory=Drained)
    """Those that it let wait for others to go with."""
    cools_down_at: float | None = None
    """Until when it kept a last worker that had nothing to do, Unix seconds."""
    idle_since: float | None = None
    """Since when the fleet is known to have nothing to do; None while it has, or while
    that is unknown."""
    unknown_readings: int = 0
    """Readings in a row, up to this one, whose demand was unknown."""
    learned: Learned = field(default_factory=Learned)

    def observed(
        self,
        observation: Observation,
        demand: Demand,
        now: float,
        *,
        window_s: float,
        longest_s: float,
        up: Rules,
        down: Rules,
    ) -> History:
        """This history and what ``observation`` adds, before anything is decided on it.

        ``window_s`` is over how many seconds the arrival rate is averaged, ``longest_s``
        how many seconds of a run are planned for beforehand.
        """
        idle_since = self.idle_since
        if not demand.idle:
            idle_since = None
        elif idle_since is None or self.learned.finished_since(observation):
            idle_since = now
        return replace(
            self._confirmed(observation.replicas, up, down),
            since=now if self.since is None or demand.unknown is not None else self.since,
            idle_since=idle_since,
            unknown_readings=0 if demand.unknown is None else self.unknown_readings + 1,
            learned=self.learned.learn(observation, demand, window_s, longest_s=longest_s),
        )

    def _confirmed(self, replicas: int, up: Rules, down: Rules) -> History:
        """Store the change asked for as an event once ``replicas`` has moved.

        If it moved elsewhere, somebody scaled by hand after it; the change itself still
        happened, and still counts.
        """
        asked = self.asked
        if asked is None or replicas == asked.before:
            return self
        change = abs(asked.after - asked.before)
        if not up.policies and not down.policies:
            # Nobody will look at it.
            return replace(self, asked=None, scale_ups=(), scale_downs=())
        if asked.after > asked.before:
            events = store_event(self.scale_ups, asked.at, change, up, down)
            return replace(self, asked=None, scale_ups=events)
        events = store_event(self.scale_downs, asked.at, change, down, up)
        return replace(self, asked=None, scale_downs=events)

"""Everything that one decision looks at, read once: the steps of the chain share it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sluiceway.api.scaling import Scaling
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import hpa
from sluiceway.decide.demand import Demand
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation
from sluiceway.decide.recommend import longest_run_s, max_wait_s, rate_window_s
from sluiceway.decide.schedules import ScheduleFloor, floor_at

COOLDOWN_COLD_STARTS = 3.0
SHORTEST_COOLDOWN_S = 15.0
LONGEST_COOLDOWN_S = 60.0
"""Where no ``cooldownPeriod`` is written, the last worker stays for as long as three cold
starts take, within these two: an idle worker costs as much as starting another one."""

FIRST_S = 60.0
"""A new operator knows no rates yet, nor does one that could not read its broker: for so
long it keeps what it found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """One fleet at one moment, with the observation already learned from."""

    now: float
    scaling: Scaling
    observation: Observation
    demand: Demand
    history: History
    slots: int
    """Slots per worker."""
    up: hpa.Rules
    down: hpa.Rules
    schedule: ScheduleFloor
    low: int
    """The fewest workers: minReplicas or a schedule's floor, never above ``high``."""
    high: int

    @classmethod
    def of(
        cls, spec: TaskQueueSpec, observation: Observation, history: History, now: float
    ) -> Situation:
        """Put it together."""
        scaling = spec.scaling
        up, down = hpa.rules_up(scaling.behavior), hpa.rules_down(scaling.behavior)
        demand = Demand.of(observation, now, history.learned.cold_start_or_prior_s)
        history = history.observed(
            observation,
            demand,
            now,
            window_s=rate_window_s(scaling.target),
            longest_s=longest_run_s(scaling.target),
            up=up,
            down=down,
        )
        unpaced = scaling.behavior.scale_down is None and max_wait_s(scaling.target) is not None
        if unpaced and history.since is not None and now >= history.since + FIRST_S:
            # A wait target needs no window: see ``calm``.
            down = replace(down, window_s=0)
        schedule = floor_at(scaling.schedules, now)
        high = scaling.max_replicas
        # Heartbeats tell best; a fleet without any goes by what is written, and only
        # then by what earlier workers had.
        heard = history.learned.slots if demand.present else None
        return cls(
            now=now,
            scaling=scaling,
            observation=observation,
            demand=demand,
            history=history,
            slots=heard or spec.worker.concurrency or history.learned.slots or 1,
            up=up,
            down=down,
            schedule=schedule,
            low=min(high, max(scaling.min_replicas, schedule.replicas)),
            high=high,
        )

    @property
    def current(self) -> int:
        """The workers asked for at the moment."""
        return self.observation.replicas

    @property
    def readable(self) -> bool:
        """Whether the broker that the workers use can be read, and leases written to it."""
        return self.observation.broker_problem is None and self.observation.mismatch is None

    @property
    def idle_for_s(self) -> float | None:
        """For how long there has been nothing to do; None while there is, or unknown."""
        since = self.history.idle_since
        return None if since is None else max(0.0, self.now - since)

    @property
    def cooldown_s(self) -> float:
        """How long there must have been nothing to do before the step to zero."""
        written = self.scaling.cooldown_period
        if written is not None:
            return written
        cold_starts_s = COOLDOWN_COLD_STARTS * self.history.learned.cold_start_or_prior_s
        return min(LONGEST_COOLDOWN_S, max(SHORTEST_COOLDOWN_S, cold_starts_s))

    @property
    def cools_down_at(self) -> float | None:
        """When the step to zero becomes possible; None where it cannot."""
        since = self.history.idle_since
        if since is None or self.low > 0:
            return None
        return since + self.cooldown_s

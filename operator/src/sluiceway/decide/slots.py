"""How many slots a wait target asks for: the terms of the rule, each of its own.

    in order  = (W·S + rest + λ·S·lead) / (aim + lead)   what is there, kept short of its end
    in time   = what is due the soonest / the time it has  nothing may start too late
    going on  = 0.8·λ̄·S                                  what arrives goes on arriving
    slots     = max(in order, in time, going on) + overrunning

«In order» lets messages wait for a part of the target, so that no worker is ever idle
while others come: under steady arrivals the number settles where the oldest has waited
for ``aim``. «In time» counts each message with the time that it has left, and overrules
it: a burst asks for what it needs at once. docs/explanation/how-many-workers.md tells it
in words and works it out on an example.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sluiceway.decide.arrivals import ages
from sluiceway.decide.demand import Demand
from sluiceway.decide.history import History
from sluiceway.decide.remaining import remaining_s

AIM_SHARE = 0.6
"""The share of the target, cold start taken off, that messages are let wait for."""

LOOK_S = 2.0
"""From a message to the look that sees it: together with the cold start this is the lead
that a new worker needs."""

GUARD_S = 1.0
"""Kept back from each message's time, for what lies between a decision and its effect."""

GOING_ON_SHARE = 0.8
"""Fewer slots than these of what arrives are asked for only when it stops: the rest may
wait and be caught up with, all of it would be answered late."""

URGENT_SHARE = 0.1
"""Messages that are late are cleared within this share of the wait target."""

LATE_SHARE = 0.5
"""A new worker is given half of its cold start to be worth it: where that is longer than
the time left, more of them would all come too late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """How long tasks run, as far as is planned for beforehand."""

    mean_s: float
    deviation_s: float

    @property
    def spread_s(self) -> float:
        """The part of a run that a slot is ahead by where run times vary.

        A message has to start in time, not to end. With run times that are all alike a
        slot begins its next task a whole run later; the more they vary, the sooner the
        first slot is free.
        """
        if self.mean_s <= 0:
            return 0.0
        return min(1.0, (self.deviation_s / self.mean_s) ** 2) * self.mean_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """The workers that are there or on their way, and what another one takes."""

    current: int
    slots: int
    cold_start_s: float
    starting_s: float
    """How long those on their way still take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """The rule's terms, in slots."""

    in_order: float
    in_time: float
    """0 where nothing waits."""
    going_on: float
    overrunning: int
    together: float
    latest: float | None = None
    """The slots that would keep all in time if they were asked for one start later; None
    where that would be too late."""
    last_moment_in_s: float = 0.0
    """For how long that will not be too late."""

    @property
    def urgent(self) -> float:
        """The slots without which something would start too late."""
        return self.in_time + self.overrunning if self.in_time > 0 else 0.0


def needed(
    demand: Demand,
    history: History,
    runs: Runs,
    fleet: Fleet,
    *,
    wait_s: float,
    rate_per_s: float,
    usual_per_s: float,
    window_s: float,
    now: float,
) -> Needed:
    """The slots that ``demand`` asks for.

    Args:
        wait_s: the wait target.
        rate_per_s: arrivals over the last ``window_s``, those included that still wait.
        usual_per_s: arrivals over a longer time.
    """
    clock = _Clock(runs, fleet, wait_s)
    running = [remaining_s(ran, runs.mean_s) for ran in demand.running_for_s]
    soon = clock.left(wait_s - demand.oldest_wait_s - GUARD_S)
    ending = [left_s for left_s in running if left_s <= soon]
    overrunning = len(running) - len(ending)
    # Of a worker with several slots only the oldest task's age is known.
    ageless = max(0, (demand.in_flight or 0) - len(running))
    rest_s = sum(ending) + ageless * runs.mean_s

    lead = min(fleet.cold_start_s + LOOK_S, window_s)
    aim = AIM_SHARE * max(0.0, wait_s - fleet.cold_start_s)
    orderly_s = max(aim + min(aim, runs.spread_s) + lead, runs.mean_s)
    coming = max(0.0, rate_per_s - demand.waiting / window_s) * lead
    in_order = ((demand.waiting + coming) * runs.mean_s + rest_s) / orderly_s
    going_on = GOING_ON_SHARE * usual_per_s * runs.mean_s
    latest = None
    later = replace(fleet, cold_start_s=2 * fleet.cold_start_s + LOOK_S)
    spare_s = wait_s - demand.oldest_wait_s - GUARD_S - later.cold_start_s
    if demand.waiting == 0:
        # What arrives finds a slot as it is: a trickle asks for none beside a long run.
        together = max(in_order, going_on, overrunning + rest_s / orderly_s)
        in_time = 0.0
    else:
        free = max(0.0, demand.present_slots - overrunning)
        on_their_way = fleet.slots * max(0, fleet.current - demand.present - demand.silent)
        in_time = _in_time(demand, history, clock, rest_s, free, on_their_way, now)
        if spare_s > 0:
            unhurried = replace(clock, fleet=later)
            latest = overrunning + _in_time(
                demand, history, unhurried, rest_s, free, on_their_way, now
            )
        together = max(in_order, in_time, going_on) + overrunning
    return Needed(
        in_order=in_order,
        in_time=in_time,
        going_on=going_on,
        overrunning=overrunning,
        together=together,
        latest=latest,
        last_moment_in_s=max(0.0, spare_s),
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    """How much of a slot's time there is for work that must start within some seconds."""

    runs: Runs
    fleet: Fleet
    wait_s: float

    def left(self, seconds: float, start_s: float = 0.0) -> float:
        """Seconds of work that a slot that begins in ``start_s`` can take on."""
        return max(
            # No task can be done faster than it runs; late ones are cleared fast, but a
            # thousand short ones that are late do not ask for a thousand workers.
            self.runs.mean_s,
            URGENT_SHARE * self.wait_s,
            LATE_SHARE * start_s,
            seconds - start_s + self.runs.spread_s,
        )


def _in_time(
    demand: Demand,
    history: History,
    clock: _Clock,
    rest_s: float,
    free: float,
    on_their_way: int,
    now: float,
) -> float:
    """The slots for the tightest of all stretches of the queue, from its head on."""
    fleet, runs = clock.fleet, clock.runs
    groups = (
        (free, 0.0),
        (float(on_their_way), fleet.starting_s),
        (math.inf, fleet.cold_start_s),
    )
    most, messages = 0.0, 0
    for number, age_s in ages(
        history.learned.arrivals,
        waiting=demand.waiting,
        oldest_wait_s=demand.oldest_wait_s,
        now=now,
    ):
        messages += number
        # One deviation more than the mean: of many runs some are always long.
        work_s = messages * runs.mean_s + runs.deviation_s * math.sqrt(messages) + rest_s
        slots = 0.0
        for available, start_s in groups:
            seconds = clock.left(clock.wait_s - age_s - GUARD_S, start_s)
            slots += min(available, work_s / seconds)
            if work_s <= available * seconds:
                break
            # Whatever these will have done by the time that a new worker could begin, late
            # or not, no new worker can do sooner.
            work_s -= available * max(seconds, fleet.cold_start_s - start_s)
            if work_s <= 0:
                break
        most = max(most, slots)
    return most

"""How many workers demand alone asks for, before windows and limits.

For a wait target that is ``ceil(slots needed / slots per worker)``, and ``slots`` has the
rule; for a backlog target it is one division; and before anything is known, one slot for
each message, for a few workers at first. More waiting never asks for fewer workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sluiceway.api.scaling import Scaling, Target
from sluiceway.decide import sentences, sentences_wait
from sluiceway.decide.decision import Reason
from sluiceway.decide.demand import Demand
from sluiceway.decide.estimate import RunStats
from sluiceway.decide.history import History
from sluiceway.decide.slots import Fleet, Runs, needed

DEFAULT_MAX_WAIT_S = 30.0

FIRST_WORKERS = 4
"""How many workers may start on a backlog of which nothing is known, as many as the
HPA's default policy adds at once; twice as many each time these have come."""

SHORTEST_RATE_WINDOW_S = 20.0
"""The arrival rate is that of the last wait target, and never of less than this: what has
come for longer waits already, and is counted."""

WELL_KNOWN_RUNS = 30.0
"""From so many runs on, run times are known well enough to put something off."""

RULE_OF_THREE = 3.0
"""No arrival for t seconds: with 95 % confidence fewer than 3/t arrive per second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommendation:
    """What demand asks for. ``replicas`` is ``ceil(amount / per_replica)`` and the rest
    of the rule that a ratio cannot say: at least one worker where there is work."""

    replicas: int
    amount: float
    """Slots, or for a backlog target messages."""
    per_replica: float
    """As many as that one worker is meant for."""
    reason: Reason
    because: str
    """Why, to follow «12 workers: »."""
    urgent: int | None = None
    """The workers without which a message would start too late; None where the rule
    cannot tell, and all of it is as urgent."""
    latest: int | None = None
    """The workers that would keep all in time if they were asked for one start later; None
    where that would be too late, or is not known well enough."""
    last_moment: float | None = None
    """Until when they can be, Unix seconds."""
    terms: str = ""
    """What the rule added up, to follow ``because`` where there is room."""
    again_at: float | None = None
    """When it may ask for more without any change in demand, Unix seconds."""


def max_wait_s(target: Target) -> float | None:
    """The wait target in seconds; None where the fleet aims at a backlog instead."""
    if target.max_wait is not None:
        return target.max_wait
    return DEFAULT_MAX_WAIT_S if target.backlog_per_replica is None else None


def rate_window_s(target: Target) -> float:
    """Over how many seconds the arrival rate is averaged."""
    return max(SHORTEST_RATE_WINDOW_S, max_wait_s(target) or 0.0)


def longest_run_s(target: Target) -> float:
    """How many seconds of a run are planned for beforehand: as long as a task may wait."""
    return max_wait_s(target) or math.inf


def recommend(
    scaling: Scaling, demand: Demand, history: History, *, current: int, slots: int, now: float
) -> Recommendation:
    """How many workers ``demand`` asks for, going by what ``history`` has learned.

    ``current`` is the number asked for at the moment, ``slots`` what one worker has.
    """
    target = scaling.target
    wait = max_wait_s(target)
    if wait is None:
        per_replica = float(target.backlog_per_replica or 1)
        return _finish(
            demand,
            amount=float(demand.backlog),
            per_replica=per_replica,
            current=current,
            reason=Reason.MEETING_TARGET,
            because=sentences.backlog_target(demand, per_replica),
        )
    runs = history.learned.all_runs
    if runs.mean_s is None or runs.planned_s is None:
        return _unknown_run_times(demand, history, current=current, slots=slots, now=now)
    # Learned under another target it may be longer than this one's.
    run_s = min(runs.planned_s, longest_run_s(target))
    window_s = rate_window_s(target)
    rate = max(0.0, history.learned.rate_per_s or 0.0)
    most = _most_per_s(history, rate, window_s, now)
    rate = min(rate, most)
    cold_start_s = history.learned.cold_start_or_prior_s
    since_raised = math.inf if history.raised_at is None else now - history.raised_at
    counted = needed(
        demand,
        history,
        Runs(mean_s=run_s, deviation_s=_planned_deviation_s(runs, run_s, wait)),
        Fleet(
            current=current,
            slots=slots,
            cold_start_s=cold_start_s,
            starting_s=max(0.0, cold_start_s - since_raised),
        ),
        wait_s=wait,
        rate_per_s=rate,
        usual_per_s=min(max(0.0, history.learned.usual_per_s), most),
        window_s=window_s,
        now=now,
    )
    return _finish(
        demand,
        amount=_without_guesses(counted.together, demand, slots * current),
        per_replica=float(slots),
        current=current,
        reason=Reason.MEETING_TARGET,
        because=sentences.wait_target(
            demand,
            run_s=runs.mean_s,
            rate_per_s=rate if rate * run_s >= counted.together / 10 else None,
            max_wait_s=wait,
            slots=slots,
        ),
        urgent=counted.urgent,
        # What runs for longer than a task may wait is not planned for to its end.
        latest=counted.latest if runs.runs >= WELL_KNOWN_RUNS and runs.mean_s <= wait else None,
        last_moment=now + counted.last_moment_in_s,
        terms=sentences_wait.terms(counted),
    )


def _most_per_s(history: History, rate_per_s: float, window_s: float, now: float) -> float:
    """The most that can be expected to arrive per second.

    Fewer the longer nothing has come, and no more than the last window makes likely: two
    deviations above its count.
    """
    came = rate_per_s * window_s
    likely = (came + 2 * math.sqrt(came) + RULE_OF_THREE) / window_s
    came_at = history.learned.came_at
    silent_s = 0.0 if came_at is None else now - came_at
    return min(likely, RULE_OF_THREE / silent_s) if silent_s > 0 else likely


def _planned_deviation_s(runs: RunStats, run_s: float, longest_s: float) -> float:
    """The deviation of runs that count with ``longest_s`` at most and ``run_s`` on average.

    Whatever lies between 0 and a longest with a given mean cannot vary by more.
    """
    most = math.sqrt(max(0.0, run_s * (longest_s - run_s)))
    return min(runs.deviation_s or 0.0, most)


def _unknown_run_times(
    demand: Demand, history: History, *, current: int, slots: int, now: float
) -> Recommendation:
    """One slot for each task, for a few workers first: they will soon tell run times.

    Where workers report nothing, this is the rule for good; it then doubles after each
    cold start for as long as the backlog asks for it.
    """
    asked = math.ceil(demand.backlog / slots)
    settled_at = (history.raised_at or 0.0) + history.learned.cold_start_or_prior_s
    # in_flight is None where nobody reports, and then nobody is seen to arrive either.
    arrived = demand.in_flight is None or demand.present >= current
    settled = arrived and now >= settled_at
    most = max(FIRST_WORKERS, 2 * current if settled else current)
    capped = asked > most
    return _finish(
        demand,
        amount=_without_guesses(float(min(demand.backlog, slots * most)), demand, slots * current),
        per_replica=float(slots),
        current=current,
        reason=Reason.WORK_WAITING,
        because=sentences.unknown_run_times(demand, slots, most if capped else None),
        again_at=settled_at if capped and now < settled_at else None,
    )


def _without_guesses(amount: float, demand: Demand, present_slots: int) -> float:
    """Where nothing waits, what runs has its slots already, what a worker has reserved
    no other can take, and a rate of arrivals alone starts nobody."""
    return amount if demand.waiting > 0 else min(amount, float(present_slots))


def _finish(
    demand: Demand,
    *,
    amount: float,
    per_replica: float,
    current: int,
    reason: Reason,
    because: str,
    urgent: float | None = None,
    latest: float | None = None,
    last_moment: float | None = None,
    terms: str = "",
    again_at: float | None = None,
) -> Recommendation:
    replicas = _workers(amount, per_replica)
    busy = demand.in_flight_bound != 0 or demand.held > 0
    if demand.waiting > 0 or (busy and current > 0):
        replicas = max(1, replicas)
    if demand.waiting == 0:
        if demand.in_flight_bound != 0:
            reason, because = Reason.WORK_IN_FLIGHT, sentences.in_flight(demand)
        elif demand.held > 0:
            reason, because = Reason.WORK_SCHEDULED, sentences.held(demand)
        elif replicas <= 1:
            # The last worker of an idle fleet is cooldownPeriod's matter alone.
            replicas = 0
            reason, because = Reason.IDLE, sentences.nothing_to_do(demand)
    elif demand.waiting == demand.due_soon:
        reason, because = Reason.WORK_SCHEDULED, sentences.due_soon(demand)
    return Recommendation(
        replicas=replicas,
        amount=amount,
        per_replica=per_replica,
        reason=reason,
        because=because,
        urgent=None if urgent is None else _workers(urgent, per_replica),
        latest=None if latest is None else _workers(latest, per_replica),
        last_moment=last_moment,
        terms=terms,
        again_at=again_at,
    )


def _workers(amount: float, per_replica: float) -> int:
    # A sum of floats that should be 3 may be 3.0000000000000004: that is no fourth worker.
    return math.ceil(round(amount / per_replica, 9))

"""The rule: how many workers demand alone asks for, before windows and limits.

For a wait target T, with run time S (of which a run counts with T at most), arrival rate
λ, cold start D, waiting messages W of which the oldest has waited w, and c slots per
worker:

    going on   = max(λ·S, rest of the others in flight / (T − w)) + overrunning
                                                            slots for what comes and runs
    clearing   = W·S / time left                            slots for what waits
    workers    = ceil((going on + clearing) / c)

A task is overrunning when it has run for longer than S and than T − w: it is one of the
long ones, and takes a slot for as long as it runs. That is why no more than T of it is
planned for beforehand, and one run of an hour asks for no more workers than it needs.
Where nothing waits, those that overrun are part of what λ·S may be larger than.

«Time left» is T − w for slots that are there, less the rest of their start for those on
their way, and less D for new ones: work goes to the first kind as far as it fits, then
to the second, then to the third; and no new worker is asked for what the others will
have done before it could begin. Time left is never below S, since a task cannot be done
faster, nor below a tenth of T, so that messages that are late already are cleared fast
but a thousand short ones do not ask for a thousand workers.

More waiting never asks for fewer workers. docs/explanation/how-many-workers.md works
the rule out on an example.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sluiceway.api.scaling import Scaling, Target
from sluiceway.decide import sentences
from sluiceway.decide.decision import Reason
from sluiceway.decide.demand import Demand
from sluiceway.decide.history import History
from sluiceway.decide.remaining import remaining_s

DEFAULT_MAX_WAIT_S = 30.0

URGENT_SHARE = 0.1
"""Messages that are late are cleared within this share of the wait target."""

FIRST_WORKERS = 4
"""How many workers may start on a backlog of which nothing is known, as many as the
HPA's default policy adds at once; twice as many each time these have come."""

SHORTEST_RATE_WINDOW_S = 60.0
RATE_WINDOW_TIMES = 4.0
"""The arrival rate is averaged over four times the wait target. What changes faster shows
in the waiting messages, which are counted and not averaged."""

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
    again_at: float | None = None
    """When it may ask for more without any change in demand, Unix seconds."""


def max_wait_s(target: Target) -> float | None:
    """The wait target in seconds; None where the fleet aims at a backlog instead."""
    if target.max_wait is not None:
        return target.max_wait
    return DEFAULT_MAX_WAIT_S if target.backlog_per_replica is None else None


def rate_window_s(target: Target) -> float:
    """Over how many seconds the arrival rate is averaged."""
    return max(SHORTEST_RATE_WINDOW_S, RATE_WINDOW_TIMES * (max_wait_s(target) or 0.0))


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
    rate = _steady_rate(demand, history, rate_window_s(target), now)
    steady = rate * run_s
    amount = _slots_needed(
        demand, history, wait, run_s, steady, current=current, slots=slots, now=now
    )
    return _finish(
        demand,
        amount=_without_guesses(amount, demand, slots * current),
        per_replica=float(slots),
        current=current,
        reason=Reason.MEETING_TARGET,
        because=sentences.wait_target(
            demand,
            run_s=runs.mean_s,
            rate_per_s=_told_rate(demand, history, rate) if steady >= amount / 10 else None,
            max_wait_s=wait,
            slots=slots,
        ),
    )


def _slots_needed(
    demand: Demand,
    history: History,
    wait_s: float,
    run_s: float,
    steady: float,
    *,
    current: int,
    slots: int,
    now: float,
) -> float:
    shortest = max(run_s, URGENT_SHARE * wait_s)

    def time_left(start_s: float) -> float:
        return max(wait_s - demand.oldest_wait_s - start_s, shortest)

    cold_start = history.learned.cold_start_or_prior_s
    since_raised = math.inf if history.raised_at is None else now - history.raised_at
    still_starting = max(0.0, cold_start - since_raised)
    running = [remaining_s(ran, run_s) for ran in demand.running_for_s]
    in_time = [left_s for left_s in running if left_s <= time_left(0.0)]
    overrunning = len(running) - len(in_time)
    # Of a worker with several slots only the oldest task's age is known.
    ageless = max(0, (demand.in_flight or 0) - len(running))
    ending = (sum(in_time) + ageless * run_s) / time_left(0.0)
    if demand.waiting > 0:
        going_on = max(steady, ending) + overrunning
    else:
        # What arrives finds a slot as it is: a trickle asks for none beside a long run.
        going_on = max(steady, ending + overrunning)
    groups = (
        (max(0.0, demand.present_slots - going_on), 0.0),
        (float(slots * max(0, current - demand.present - demand.silent)), still_starting),
        (math.inf, cold_start),
    )
    work_s = demand.waiting * run_s
    clearing = 0.0
    for available, start_s in groups:
        seconds = time_left(start_s)
        clearing += min(available, work_s / seconds)
        if work_s <= available * seconds:
            break
        # Whatever these will have done by the time that a new worker could begin, late
        # or not, no new worker can do sooner.
        work_s -= available * max(seconds, cold_start - start_s)
        if work_s <= 0:
            break
    return going_on + clearing


def _steady_rate(demand: Demand, history: History, window_s: float, now: float) -> float:
    """Arrivals per second, without those that still wait: these are counted as waiting."""
    rate = max(0.0, (history.learned.rate_per_s or 0.0) - demand.waiting / window_s)
    if history.idle_since is not None and now > history.idle_since:
        rate = min(rate, RULE_OF_THREE / (now - history.idle_since))
    return rate


def _told_rate(demand: Demand, history: History, rate: float) -> float:
    """The rate as people count it, those that still wait included."""
    return rate if demand.waiting == 0 else history.learned.rate_per_s or 0.0


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
    again_at: float | None = None,
) -> Recommendation:
    # A sum of floats that should be 3 may be 3.0000000000000004: that is no fourth worker.
    replicas = math.ceil(round(amount / per_replica, 9))
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
        again_at=again_at,
    )

"""``decide``: the whole chain, from one observation to one decision.

    demand → recommendation → calm, tolerance → schedules → stabilization → behavior → limits
    → drain

It is a pure function: no clock, no I/O, no randomness. The operator, the simulator and
local mode all call it, and what they carry from one call to the next is the history
that it hands back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sluiceway.api.scaling import Paused
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import hpa, sentences, victims
from sluiceway.decide.batch import may_go, worth_it_at
from sluiceway.decide.calm import calm
from sluiceway.decide.decision import Decision, Reason, Step
from sluiceway.decide.history import Asked, Drained, History
from sluiceway.decide.observation import Observation
from sluiceway.decide.pace import pace
from sluiceway.decide.recommend import Recommendation, recommend
from sluiceway.decide.situation import Situation
from sluiceway.decide.unknown import hold


def decide(spec: TaskQueueSpec, observation: Observation, history: History, now: float) -> Decision:
    """How many workers the fleet should have, who leaves, and why.

    Args:
        spec: what the user wrote.
        observation: one reading of the fleet's world.
        history: the last decision's ``history``, or ``History()`` on a fresh start.
        now: Unix seconds.

    Returns:
        The decision; its ``history`` is to be given to the next call.
    """
    s = Situation.of(spec, observation, history, now)
    recommendation = recommend(
        s.scaling, s.demand, s.history, current=s.current, slots=s.slots, now=now
    )
    if s.scaling.paused is not False:
        goal = _paused(s, s.scaling.paused)
    elif s.demand.unknown is not None:
        goal = _unknown(s, s.demand.unknown, recommendation)
    else:
        goal = _known(s, recommendation)
    if s.observation.rolling_out and goal.desired < s.current:
        goal = replace(
            goal,
            desired=s.current,
            reason=Reason.ROLLING_OUT,
            because=sentences.rolling_out(goal.desired),
        )
    if s.observation.stuck is not None and goal.desired > s.current > 0:
        goal = replace(
            goal,
            desired=s.current,
            reason=Reason.WORKERS_FAILING,
            because=sentences.stuck(goal.desired, s.observation.stuck),
        )
    leaving = _leave(s, goal)
    return _decision(s, recommendation, goal, leaving)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Goal:
    """Where the fleet should be, before anybody leaves."""

    desired: int
    reason: Reason
    because: str
    steps: tuple[Step, ...]
    recommendations: tuple[hpa.Timed, ...]
    again_at: tuple[float, ...] = ()
    by_command: bool = False
    """The user wrote this very number down: it holds even where nothing is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Leaving:
    """What becomes of the workers above the goal."""

    replicas: int
    drain: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    drained: Drained = field(default_factory=Drained)
    """Those that could go, and wait for others."""


def _paused(s: Situation, paused: bool | Paused) -> _Goal:
    replicas = paused.replicas if isinstance(paused, Paused) else None
    because = sentences.paused(replicas)
    desired = s.current if replicas is None else replicas
    return _Goal(
        desired=desired,
        reason=Reason.PAUSED,
        because=because,
        steps=(_step("pause", desired, because),),
        # Resuming is a fresh start, as for an HPA that KEDA makes anew.
        recommendations=(),
        by_command=True,
    )


def _unknown(s: Situation, problem: str, recommendation: Recommendation) -> _Goal:
    known = recommendation.replicas if s.readable else 0
    held = hold(s, problem, known)
    going = pace(s, held.wanted, held.because)
    return _Goal(
        desired=going.desired,
        reason=held.reason,
        because=held.because,
        steps=(_step("unknown", held.wanted, held.because), *_schedules(s), *going.steps),
        recommendations=going.recommendations,
        again_at=going.again_at,
        by_command=held.by_command,
    )


def _known(s: Situation, recommendation: Recommendation) -> _Goal:
    wanted, reason, because = (
        recommendation.replicas,
        recommendation.reason,
        recommendation.because,
    )
    steps = [_step("recommendation", wanted, because + recommendation.terms)]
    calmed = calm(s, recommendation)
    if calmed is not None:
        wanted, reason, because = calmed.wanted, calmed.reason, calmed.because
        steps.append(_step("calm", wanted, because))
    ratio = hpa.usage_ratio(
        recommendation.amount, per_replica=recommendation.per_replica, current=s.current
    )
    # The step to zero is cooldownPeriod's matter: tolerance would call back, while the rate
    # of arrivals still fades, who was just told that there is nothing to do.
    if wanted not in (s.current, 0) and hpa.within_tolerance(ratio, s.up, s.down):
        rules = s.up if wanted > s.current else s.down
        wanted, reason = s.current, Reason.WITHIN_TOLERANCE
        because = sentences.within_tolerance(ratio, rules.tolerance)
        steps.append(_step("tolerance", wanted, because))
    going = pace(s, wanted, because)
    again_at = list(going.again_at)
    if recommendation.again_at is not None:
        again_at.append(recommendation.again_at)
    if calmed is not None and calmed.again_at is not None:
        again_at.append(calmed.again_at)
    return _Goal(
        desired=going.desired,
        reason=going.reason or reason,
        because=going.because if going.reason else because,
        steps=(*steps, *_schedules(s), *going.steps),
        recommendations=going.recommendations,
        again_at=tuple(again_at),
    )


def _leave(s: Situation, goal: _Goal) -> _Leaving:
    surplus = s.current - goal.desired
    if surplus <= 0:
        # Whoever drains is recalled: that is quicker than any new worker.
        return _Leaving(replicas=goal.desired)
    if not s.readable and not goal.by_command:
        return _Leaving(replicas=s.current)
    if not s.observation.workers_report:
        return _Leaving(replicas=goal.desired)
    missing = min(surplus, s.observation.missing)
    surplus -= missing
    if s.readable:
        chosen = victims.choose(
            s.observation.workers,
            surplus=surplus,
            wanted=goal.desired,
            leased=s.history.draining,
            run_s=s.history.learned.all_runs.mean_s,
        )
    else:
        chosen = victims.without_asking(s.observation.workers, surplus=surplus)
    drained = Drained()
    if chosen.remove and not goal.by_command and not may_go(s):
        spent_s = s.history.drained.cost_s(s.now)
        drained = Drained(at=s.now, workers=len(chosen.remove), spent_s=spent_s)
        chosen = replace(chosen, remove=())
    return _Leaving(
        replicas=s.current - missing - len(chosen.remove),
        drain=chosen.drain,
        remove=chosen.remove,
        drained=drained,
    )


def _decision(
    s: Situation, recommendation: Recommendation, goal: _Goal, leaving: _Leaving
) -> Decision:
    reason, because = goal.reason, goal.because
    if leaving.replicas > goal.desired and reason not in _STAYS_THE_REASON:
        reason = Reason.DRAINING
        because = sentences.draining(
            leaving.replicas - goal.desired, because, done=leaving.drained.workers
        )
    recalled = set(s.history.draining) - set(leaving.drain)
    here = {worker.incarnation for worker in s.observation.workers}
    drained = sentences.leaving(
        len(leaving.drain),
        len(leaving.remove),
        len(recalled & here),
        done=leaving.drained.workers,
    )
    together_at = worth_it_at(leaving.drained)
    wake = (*goal.again_at, *_edges(s), *(() if together_at is None else (together_at,)))
    return Decision(
        at=s.now,
        current=s.current,
        recommendation=None if s.demand.unknown is not None else recommendation.replicas,
        desired=goal.desired,
        replicas=leaving.replicas,
        drain=leaving.drain,
        remove=leaving.remove,
        reason=reason,
        sentence=sentences.headline(goal.desired, because) + ".",
        steps=(_demand_step(s), *goal.steps, _step("drain", leaving.replicas, drained)),
        wake_at=min((at for at in wake if at > s.now), default=None),
        history=_remember(s, goal, leaving),
    )


_STAYS_THE_REASON = frozenset(
    {Reason.PAUSED, Reason.FALLBACK, Reason.BROKER_UNKNOWN, Reason.BROKER_MISMATCH}
)
"""Reasons that say more than that somebody is still draining."""


def _remember(s: Situation, goal: _Goal, leaving: _Leaving) -> History:
    asked = None
    if leaving.replicas != s.current:
        asked = Asked(at=s.now, before=s.current, after=leaving.replicas)
    return replace(
        s.history,
        recommendations=goal.recommendations,
        # A pause leaves nothing to go by; whoever resumes starts afresh.
        since=s.history.since if goal.recommendations else None,
        asked=asked,
        raised_at=s.now if leaving.replicas > s.current else s.history.raised_at,
        aimed=goal.desired,
        draining=leaving.drain,
        drained=leaving.drained,
        cools_down_at=s.cools_down_at if goal.reason is Reason.COOLING_DOWN else None,
    )


def _edges(s: Situation) -> tuple[float, ...]:
    """Moments at which demand or limits change by themselves."""
    edges = [s.schedule.next_edge] if s.schedule.next_edge is not None else []
    if s.demand.next_eta is not None:
        # In time for a worker to be there; once that has passed, when it is due.
        edges += [
            s.demand.next_eta - s.history.learned.cold_start_or_prior_s,
            s.demand.next_eta,
        ]
    return tuple(edges)


def _schedules(s: Situation) -> tuple[Step, ...]:
    floor = s.schedule
    if not s.scaling.schedules:
        return ()
    if floor.schedule is None or floor.until is None:
        return (_step("schedules", s.low, "no schedule is active"),)
    return (_step("schedules", s.low, sentences.schedule_floor(floor.schedule, floor.until, None)),)


def _demand_step(s: Situation) -> Step:
    learned = s.history.learned
    parts = [sentences.asked(s.demand)]
    runs = learned.all_runs
    if runs.mean_s is not None and runs.deviation_s is not None:
        parts.append(f"run time {sentences.run_times(runs.mean_s, runs.deviation_s, runs.runs)}")
    if learned.rate_per_s is not None and learned.rate_per_s > 0:
        parts.append(sentences.arrivals(learned.rate_per_s))
    parts.append(
        sentences.cold_start(
            learned.cold_start_or_prior_s, measured=learned.cold_start_s is not None
        )
    )
    return Step(name="demand", replicas=None, sentence=sentences.sentence("; ".join(parts)))


def _step(name: str, replicas: int, because: str) -> Step:
    return Step(name=name, replicas=replicas, sentence=sentences.sentence(because))

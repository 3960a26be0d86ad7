"""From the number that is wanted to the number that may be had now.

Stabilization, behavior and limits, in this order, as the HPA has them. Three things
are not the HPA's: the step to zero waits for ``cooldownPeriod`` in place of the
window (KEDA's rule), the step from zero waits for nothing, and workers whose tasks
cannot be seen are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sluiceway.decide import hpa, sentences
from sluiceway.decide.decision import Reason, Step
from sluiceway.decide.situation import Situation


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How far the fleet may go now."""

    desired: int
    reason: Reason | None = None
    """What held the number; None when it is just what was wanted."""
    because: str = ""
    steps: tuple[Step, ...]
    recommendations: tuple[hpa.Timed, ...]
    """To be remembered."""
    again_at: tuple[float, ...] = ()
    """When it may go further, Unix seconds."""


def pace(s: Situation, wanted: int, because: str) -> Pace:
    """How far toward ``wanted`` the fleet may go; ``because`` says why it is wanted."""
    # As the HPA does: a fresh start takes the present number for a recommendation, so
    # that a new operator waits a full window before it takes anybody away.
    recommendations = s.history.recommendations or ((s.now, s.current),)
    outside = _outside_the_limits(s, wanted, because, recommendations)
    if outside is not None:
        return outside
    remembered = hpa.remember(recommendations, s.now, wanted, s.up, s.down)
    stable = _stabilize(s, wanted, recommendations)
    limited = _limit(s, stable.number, because)
    kept = _keep_unseen(s, limited.number)
    steps = [stable.step, limited.step]
    last = next((held for held in (kept, limited, stable) if held and held.reason), None)
    if kept is not None:
        steps.append(kept.step)
    return Pace(
        desired=kept.number if kept else limited.number,
        reason=last.reason if last else None,
        because=last.because if last else "",
        steps=tuple(steps),
        recommendations=remembered,
        again_at=stable.again_at + limited.again_at,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """What one step made of the number."""

    number: int
    step: Step
    reason: Reason | None = None
    because: str = ""
    again_at: tuple[float, ...] = ()


def _outside_the_limits(
    s: Situation, wanted: int, because: str, recommendations: tuple[hpa.Timed, ...]
) -> Pace | None:
    """A fleet outside its limits goes straight to them, without window or rate."""
    reason: Reason | None
    if s.current > s.high:
        desired, reason, because = s.high, Reason.AT_MAXIMUM, sentences.over_maximum(s.current)
    elif s.current < s.low:
        # The HPA stops at the minimum and goes on from there at its next sync; where no
        # scaleUp is written there is no rate to respect, and no reason to wait for it.
        free = s.scaling.behavior.scale_up is None
        desired = max(s.low, min(wanted, s.high)) if free else s.low
        if desired > s.low or desired == wanted:
            reason, because = _bound(s, wanted, because) if desired < wanted else (None, "")
        elif wanted > s.low:
            reason, because = Reason.AT_MINIMUM, sentences.minimum_first(wanted)
        else:
            reason, because = _bound_below(s, wanted, because)
    else:
        return None
    return Pace(
        desired=desired,
        reason=reason,
        because=because,
        steps=(_limits_step(s, desired),),
        recommendations=recommendations,
    )


def _stabilize(s: Situation, wanted: int, recommendations: tuple[hpa.Timed, ...]) -> _Held:
    cools_down_at = s.cools_down_at
    if wanted == 0 and cools_down_at is not None and cools_down_at <= s.now:
        step = Step(
            name="stabilization",
            replicas=0,
            # Not for how long: what moves all the time would make news of a fleet at rest.
            sentence=f"Idle for the cooldown of {sentences.seconds(s.cooldown_s)}, or longer.",
        )
        return _Held(number=0, step=step)
    number, why = hpa.stabilize(wanted, s.current, recommendations, s.now, s.up, s.down)
    reason, because, again_at = None, "", []
    if why is not hpa.Stabilized.READY:
        up = why is hpa.Stabilized.UP
        window_s = (s.up if up else s.down).window_s
        reason, because = Reason.STABILIZED, sentences.stabilized(wanted, up=up, window_s=window_s)
        until = hpa.stabilized_until(wanted, recommendations, s.now, s.up, s.down)
        again_at += [until] if until is not None else []
    if s.current > 0 and cools_down_at is not None:
        again_at.append(cools_down_at)
    if wanted == 0 and number <= 1 and s.current > 0 and s.low == 0:
        number = 1
        if s.idle_for_s is not None:
            reason = Reason.COOLING_DOWN
            because = sentences.cooling_down(s.idle_for_s, s.cooldown_s)
    if number == 0 and s.current == 0 and wanted > 0:
        number, reason, because = 1, None, ""
    return _Held(
        number=number,
        step=Step(
            name="stabilization",
            replicas=number,
            sentence=sentences.sentence(because or "no window holds it"),
        ),
        reason=reason,
        because=because,
        again_at=tuple(again_at),
    )


def _limit(s: Situation, stable: int, because: str) -> _Held:
    number, why = hpa.limit_rate(
        stable,
        s.current,
        low=s.low,
        high=s.high,
        scale_ups=s.history.scale_ups,
        scale_downs=s.history.scale_downs,
        now=s.now,
        up=s.up,
        down=s.down,
    )
    if s.current == 0 and stable > 0:
        number = max(number, min(1, s.high))
    if why in (hpa.Limited.UP_RATE, hpa.Limited.DOWN_RATE):
        up = why is hpa.Limited.UP_RATE
        text = sentences.rate_limited(stable, s.current, up=up)
        events = s.history.scale_ups + s.history.scale_downs
        until = hpa.rate_limited_until(events, s.now, s.up if up else s.down)
        return _Held(
            number=number,
            step=Step(name="behavior", replicas=number, sentence=sentences.sentence(text)),
            reason=Reason.RATE_LIMITED,
            because=text,
            again_at=() if until is None else (until,),
        )
    reason, text = None, ""
    if why is not hpa.Limited.WITHIN:
        reason, text = _bound(s, stable, because)
    return _Held(number=number, step=_limits_step(s, number), reason=reason, because=text)


def _keep_unseen(s: Situation, number: int) -> _Held | None:
    """Keep workers for tasks that may run unseen; None where that changes nothing."""
    if not s.readable or number >= s.current:
        return None
    least, text = 0, ""
    if s.demand.silent:
        least, text = s.demand.silent, sentences.silent(s.demand.silent)
    if not s.observation.workers_report and s.demand.in_flight_bound != 0:
        bound = s.demand.in_flight_bound
        by_bound = s.current if bound is None else math.ceil(bound / s.slots)
        if by_bound > least:
            least, text = by_bound, sentences.not_reporting(bound)
    kept = min(s.current, max(number, least))
    if kept == number:
        return None
    return _Held(
        number=kept,
        step=Step(name="limits", replicas=kept, sentence=sentences.sentence(text)),
        reason=Reason.WORK_IN_FLIGHT,
        because=text,
    )


def _bound(s: Situation, wanted: int, because: str) -> tuple[Reason, str]:
    """Which limit ``wanted`` lies beyond."""
    if wanted > s.high:
        return Reason.AT_MAXIMUM, sentences.at_maximum(wanted, because)
    return _bound_below(s, wanted, because)


def _bound_below(s: Situation, wanted: int, because: str) -> tuple[Reason, str]:
    floor = s.schedule
    if floor.schedule is not None and floor.until is not None and s.low > s.scaling.min_replicas:
        return (
            Reason.SCHEDULE_FLOOR,
            sentences.schedule_floor(floor.schedule, floor.until, wanted),
        )
    return Reason.AT_MINIMUM, sentences.at_minimum(wanted, because)


def _limits_step(s: Situation, number: int) -> Step:
    return Step(
        name="limits",
        replicas=number,
        sentence=sentences.sentence(sentences.between(s.low, s.high)),
    )

"""The HPA's rules for tolerance, stabilization and rates, to the rounding.

``behavior`` has the HPA's schema, so where a field is set it must mean what the HPA
does with it. These functions follow ``pkg/controller/podautoscaler/horizontal.go``
of Kubernetes 1.36 in the order of its floating-point operations; the HPA's own
published cases are run through them. Nothing here knows about queues.

Rules (window, policies, tolerance) flow in from the spec, what was recommended and
changed before from the history; a number and the HPA's own reason flow out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from sluiceway.api.quantity import parse_quantity
from sluiceway.api.scaling import Behavior, ScalingPolicy, ScalingRules

Timed = tuple[float, int]
"""(Unix seconds, a number of workers)."""

DEFAULT_TOLERANCE = 0.1
"""The controller manager's ``--horizontal-pod-autoscaler-tolerance``."""

HPA_SCALE_UP_POLICIES = (
    ScalingPolicy(type="Pods", value=4, period_seconds=15),
    ScalingPolicy(type="Percent", value=100, period_seconds=15),
)
HPA_SCALE_DOWN_POLICIES = (ScalingPolicy(type="Percent", value=100, period_seconds=15),)
HPA_SCALE_DOWN_WINDOW_S = 300
OUR_SCALE_DOWN_WINDOW_S = 60


class Stabilized(StrEnum):
    """The HPA's reasons of its AbleToScale condition."""

    READY = "ReadyForNewScale"
    UP = "ScaleUpStabilized"
    DOWN = "ScaleDownStabilized"


class Limited(StrEnum):
    """The HPA's reasons of its ScalingLimited condition."""

    WITHIN = "DesiredWithinRange"
    UP_RATE = "ScaleUpLimit"
    DOWN_RATE = "ScaleDownLimit"
    TOO_MANY = "TooManyReplicas"
    TOO_FEW = "TooFewReplicas"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """One direction's rules with every default filled in."""

    window_s: int
    select: Literal["Max", "Min", "Disabled"] = "Max"
    policies: tuple[ScalingPolicy, ...] = ()
    """Empty: no limit on the rate. The HPA itself always has some."""
    tolerance: float = 0.0

    @property
    def longest_period_s(self) -> int:
        """How long a change of this direction matters to its own policies."""
        return max((policy.period_seconds for policy in self.policies), default=0)


def rules_up(behavior: Behavior) -> Rules:
    """Scale-up rules: the HPA's defaults inside a given block, ours (at once) without one."""
    if behavior.scale_up is None:
        return Rules(window_s=0)
    return _filled(behavior.scale_up, window_s=0, policies=HPA_SCALE_UP_POLICIES)


def rules_down(behavior: Behavior) -> Rules:
    """Scale-down rules: the HPA's defaults inside a given block, ours (60 s) without one."""
    if behavior.scale_down is None:
        return Rules(window_s=OUR_SCALE_DOWN_WINDOW_S)
    return _filled(
        behavior.scale_down, window_s=HPA_SCALE_DOWN_WINDOW_S, policies=HPA_SCALE_DOWN_POLICIES
    )


def _filled(given: ScalingRules, *, window_s: int, policies: tuple[ScalingPolicy, ...]) -> Rules:
    window = given.stabilization_window_seconds
    return Rules(
        window_s=window_s if window is None else window,
        select=given.select_policy,
        # Given policies replace the default ones; they are not added to them.
        policies=policies if given.policies is None else tuple(given.policies),
        tolerance=(
            DEFAULT_TOLERANCE if given.tolerance is None else float(parse_quantity(given.tolerance))
        ),
    )


def _within(at: float, seconds: float, now: float) -> bool:
    """Strict: what is exactly ``seconds`` old is out.

    Added, not subtracted, so that whoever wakes at ``at + seconds`` finds it out.
    """
    return at + seconds > now


def usage_ratio(amount: float, *, per_replica: float, current: int) -> float:
    """How much of what ``current`` workers are meant for is asked of them; 1 is exactly all.

    Infinite without a worker: nothing is within a tolerance of that.
    """
    return math.inf if current == 0 else amount / (per_replica * current)


def within_tolerance(ratio: float, up: Rules, down: Rules) -> bool:
    """Whether ``ratio`` is close enough to 1 to change nothing; both ends belong to it."""
    return (1.0 - down.tolerance) <= ratio <= (1.0 + up.tolerance)


def stabilize(
    desired: int, current: int, recommendations: Iterable[Timed], now: float, up: Rules, down: Rules
) -> tuple[int, Stabilized]:
    """The nearest to ``current`` that the recommendations of both windows agree with.

    Going up takes the lowest of the up window, going down the highest of the down
    window. A recommendation exactly one window old is out.
    """
    lowest = highest = desired
    for at, value in recommendations:
        if _within(at, up.window_s, now):
            lowest = min(lowest, value)
        if _within(at, down.window_s, now):
            highest = max(highest, value)
    result = min(max(current, lowest), highest)
    if result == desired:
        return result, Stabilized.READY
    return result, Stabilized.UP if desired >= current else Stabilized.DOWN


def stabilized_until(
    desired: int, recommendations: Iterable[Timed], now: float, up: Rules, down: Rules
) -> float | None:
    """When the next recommendation that holds ``desired`` back leaves its window."""
    ends = [
        at + rules.window_s
        for at, value in recommendations
        for rules, binds in ((up, value < desired), (down, value > desired))
        if binds and _within(at, rules.window_s, now)
    ]
    return min(ends, default=None)


def limit_rate(
    desired: int,
    current: int,
    *,
    low: int,
    high: int,
    scale_ups: Iterable[Timed],
    scale_downs: Iterable[Timed],
    now: float,
    up: Rules,
    down: Rules,
) -> tuple[int, Limited]:
    """``desired`` as far as the policies and the bounds let one step go.

    ``low`` is not looked at going up, nor ``high`` going down.
    """
    ups, downs = tuple(scale_ups), tuple(scale_downs)
    if desired > current:
        limit = max(current, _scale_up_limit(current, ups, downs, now, up))
        cap, reason = (high, Limited.TOO_MANY) if high <= limit else (limit, Limited.UP_RATE)
        if desired > cap:
            return int(cap), reason
    elif desired < current:
        limit = min(current, _scale_down_limit(current, ups, downs, now, down))
        floor, reason = (low, Limited.TOO_FEW) if low >= limit else (limit, Limited.DOWN_RATE)
        if desired < floor:
            return int(floor), reason
    return desired, Limited.WITHIN


def _scale_up_limit(
    current: int, ups: tuple[Timed, ...], downs: tuple[Timed, ...], now: float, rules: Rules
) -> float:
    if rules.select == "Disabled":
        return current
    if not rules.policies:
        return math.inf
    limits = []
    for policy in rules.policies:
        start = _period_start(current, ups, downs, now, policy)
        if policy.type == "Pods":
            limits.append(start + policy.value)
        else:
            # The order of operations matters: 50 + 10 % is 56 in float64, not 55.
            limits.append(math.ceil(float(start) * (1 + float(policy.value) / 100)))
    return max(limits) if rules.select == "Max" else min(limits)


def _scale_down_limit(
    current: int, ups: tuple[Timed, ...], downs: tuple[Timed, ...], now: float, rules: Rules
) -> float:
    if rules.select == "Disabled":
        return current
    if not rules.policies:
        return -math.inf
    limits = []
    for policy in rules.policies:
        start = _period_start(current, ups, downs, now, policy)
        if policy.type == "Pods":
            limits.append(start - policy.value)
        else:
            # Truncated toward zero, as Go's int32(): the larger change.
            limits.append(int(float(start) * (1 - float(policy.value) / 100)))
    return min(limits) if rules.select == "Max" else max(limits)


def _period_start(
    current: int,
    ups: tuple[Timed, ...],
    downs: tuple[Timed, ...],
    now: float,
    policy: ScalingPolicy,
) -> int:
    """How many there were one period ago, as far as our own changes tell."""
    added = sum(change for at, change in ups if _within(at, policy.period_seconds, now))
    removed = sum(change for at, change in downs if _within(at, policy.period_seconds, now))
    return current - added + removed


def rate_limited_until(events: Iterable[Timed], now: float, rules: Rules) -> float | None:
    """When the next change leaves a policy's period, and a further step may be possible."""
    ends = [
        at + policy.period_seconds
        for at, _ in events
        for policy in rules.policies
        if _within(at, policy.period_seconds, now)
    ]
    return min(ends, default=None)


def remember(
    recommendations: tuple[Timed, ...], now: float, value: int, up: Rules, down: Rules
) -> tuple[Timed, ...]:
    """``recommendations`` and this one, without those that can never matter again.

    The HPA keeps them all within the longer window. Only a lowest or a highest of
    some newest stretch can decide, so that is what is kept: the same answers from a
    list that does not grow with every tick.
    """
    longest = max(up.window_s, down.window_s)
    kept = [(now, value)]
    lowest = highest = value
    for at, older in reversed(recommendations):
        if _within(at, longest, now) and not lowest <= older <= highest:
            kept.append((at, older))
            lowest, highest = min(lowest, older), max(highest, older)
    return tuple(reversed(kept))


def store_event(
    events: tuple[Timed, ...], at: float, change: int, rules: Rules, other: Rules
) -> tuple[Timed, ...]:
    """``events`` with one more, in the place that the HPA would put it.

    The HPA overwrites the last event that is older than the longest period of its own
    direction, even where the other direction still counts it; so do we, to give the
    same numbers. A direction without policies has no HPA to follow and keeps its
    events as long as the other one looks at them.
    """
    longest = rules.longest_period_s or other.longest_period_s
    stored = list(events)
    for index in range(len(stored) - 1, -1, -1):
        if stored[index][0] + longest < at:
            stored[index] = (at, change)
            return tuple(stored)
    return (*stored, (at, change))

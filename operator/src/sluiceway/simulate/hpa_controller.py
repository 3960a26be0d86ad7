"""The HPA as a whole, around its arithmetic in ``decide.hpa``.

It follows ``reconcileAutoscaler`` of Kubernetes 1.36 for one external metric with an
``averageValue`` target, which is what KEDA makes: first the ratio and its tolerance, then
the stabilization, then the pace, then the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from sluiceway.api.scaling import Behavior, ScalingRules
from sluiceway.decide import hpa

SYNC_S = 15.0
"""The controller manager's ``--horizontal-pod-autoscaler-sync-period``."""


def without_behavior(
    desired: int,
    current: int,
    recommendations: Iterable[hpa.Timed],
    *,
    now: float,
    low: int,
    high: int,
) -> int:
    """The number where no ``behavior`` is written, from the recommendation ``desired``.

    An HPA without the block takes this older path: the highest recommendation of the last
    300 s, whether that leads up or down, and at most to twice the number, or to 4.
    """
    highest = max(
        [desired]
        + [value for at, value in recommendations if at + hpa.HPA_SCALE_DOWN_WINDOW_S >= now]
    )
    return max(min(highest, high, max(2 * current, 4)), low)


class Hpa:
    """One HorizontalPodAutoscaler: what it remembers, and its syncs."""

    def __init__(self, *, low: int, high: int, per_replica: float, behavior: Behavior | None):
        """A new one.

        Args:
            low: minReplicas, at least 1.
            high: maxReplicas.
            per_replica: the metric's averageValue.
            behavior: the block as it is written; None: none is.
        """
        self._low, self._high = low, high
        self._per_replica = per_replica
        self._behavior = behavior
        # In a block that is written the HPA fills in what is left out.
        filled = behavior or Behavior()
        self._up = hpa.rules_up(Behavior(scale_up=filled.scale_up or ScalingRules()))
        self._down = hpa.rules_down(Behavior(scale_down=filled.scale_down or ScalingRules()))
        self._recommendations: tuple[hpa.Timed, ...] = ()
        self._ups: tuple[hpa.Timed, ...] = ()
        self._downs: tuple[hpa.Timed, ...] = ()

    def sync(self, now: float, current: int, amount: float) -> int:
        """The number of workers to ask for; ``current`` where nothing is to change."""
        if current == 0:
            # Scaled to zero by somebody else: the HPA holds still until it is raised.
            return 0
        if not self._recommendations:
            self._recommendations = ((now, current),)
        if current > self._high:
            desired = self._high
        elif current < self._low:
            desired = self._low
        else:
            desired = self._from_metric(now, current, amount)
        if desired > current:
            self._ups = hpa.store_event(self._ups, now, desired - current, self._up, self._down)
        elif desired < current:
            self._downs = hpa.store_event(self._downs, now, current - desired, self._down, self._up)
        return desired

    def _from_metric(self, now: float, current: int, amount: float) -> int:
        ratio = hpa.usage_ratio(amount, per_replica=self._per_replica, current=current)
        close = hpa.within_tolerance(ratio, self._up, self._down)
        wanted = current if close else math.ceil(amount / self._per_replica)
        past = self._recommendations
        # Not trimmed to what can still decide: the older path has a rule of its own.
        longest = max(self._up.window_s, self._down.window_s, hpa.HPA_SCALE_DOWN_WINDOW_S)
        self._recommendations = (
            *((at, value) for at, value in past if at + longest >= now),
            (now, wanted),
        )
        if self._behavior is None:
            return without_behavior(wanted, current, past, now=now, low=self._low, high=self._high)
        stable, _ = hpa.stabilize(wanted, current, past, now, self._up, self._down)
        number, _ = hpa.limit_rate(
            stable,
            current,
            low=self._low,
            high=self._high,
            scale_ups=self._ups,
            scale_downs=self._downs,
            now=now,
            up=self._up,
            down=self._down,
        )
        return number

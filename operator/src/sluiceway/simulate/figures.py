"""What a run comes to: waits, worker-hours and changes, in a few numbers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sluiceway.simulate.run import Run

_ROUNDING_S = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One policy on one trace."""

    policy: str
    setting: str
    """How the policy was set, where it can be set."""
    within: float
    """The share of the tasks that started within the target; 1 where there is none."""
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    """Waits, seconds."""
    worker_hours: float
    ratio: float
    """Worker-hours over those of the bound; inf where the bound is 0."""
    actions: int
    """How often another number of workers was asked for."""
    cut: int
    """Runs that were cut short."""
    most_workers: int
    never_started: int


def figures(run: Run, *, max_wait_s: float, bound_s: float, setting: str = "") -> Figures:
    """The figures of ``run``, beside a bound in worker-seconds."""
    waits = sorted(run.waits())
    return Figures(
        policy=run.policy,
        setting=setting,
        within=share_within(waits, max_wait_s),
        p50_s=percentile(waits, 50),
        p95_s=percentile(waits, 95),
        p99_s=percentile(waits, 99),
        max_s=waits[-1] if waits else 0.0,
        worker_hours=run.worker_s / 3600,
        ratio=run.worker_s / bound_s if bound_s > 0 else math.inf,
        actions=run.actions,
        cut=run.cut,
        most_workers=max((workers for _, workers in run.sizes), default=0),
        never_started=sum(map(math.isnan, run.starts)),
    )


def share_within(waits: Sequence[float], max_wait_s: float) -> float:
    """The share of ``waits``, which rise, that are at most ``max_wait_s``."""
    return bisect_right(waits, max_wait_s + _ROUNDING_S) / len(waits) if waits else 1.0


def percentile(rising: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; 0 of nothing."""
    if not rising:
        return 0.0
    return rising[max(0, math.ceil(len(rising) * percent / 100) - 1)]

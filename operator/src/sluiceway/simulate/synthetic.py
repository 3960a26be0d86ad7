"""Traces made from a seed: the same arguments give the same trace, on any machine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from sluiceway.simulate.trace import Trace

RunTime = Callable[[random.Random], float]


def exponential(mean_s: float) -> RunTime:
    """Run times that vary as much as they are long."""
    return lambda draw: draw.expovariate(1 / mean_s)


def constant(run_s: float) -> RunTime:
    """Run times that are all the same."""
    return lambda _: run_s


def heavy_tailed(mean_s: float, *, shape: float = 1.5, longest_s: float = math.inf) -> RunTime:
    """Pareto's run times: most are short, and the few long ones are most of the work.

    ``shape`` must be above 1, or there is no mean; up to 2 there is no variance.
    """
    shortest = mean_s * (shape - 1) / shape
    return lambda draw: min(shortest * draw.paretovariate(shape), longest_s)


def lognormal(median_s: float, sigma: float) -> RunTime:
    """Run times as most services have them: a hump and a tail."""
    return lambda draw: draw.lognormvariate(math.log(median_s), sigma)


def poisson(
    name: str,
    rate: Callable[[float], float],
    *,
    most: float,
    span_s: float,
    run_time: RunTime,
    seed: int,
) -> Trace:
    """Arrivals at random, ``rate(t)`` a second, which is never above ``most``."""
    draw = random.Random(seed)
    arrivals: list[float] = []
    at = draw.expovariate(most)
    while at < span_s:
        if draw.random() * most < rate(at):
            arrivals.append(at)
        at += draw.expovariate(most)
    return _trace(name, arrivals, draw, run_time, span_s)


def steady(*, rate: float, span_s: float, run_time: RunTime, seed: int) -> Trace:
    """The same rate all the time."""
    return poisson("steady", lambda _: rate, most=rate, span_s=span_s, run_time=run_time, seed=seed)


def diurnal(
    *, least: float, most: float, period_s: float, span_s: float, run_time: RunTime, seed: int
) -> Trace:
    """A rate that rises and falls like a day: from ``least`` at first to ``most`` and back."""

    def rate(at: float) -> float:
        return least + (most - least) * (1 - math.cos(2 * math.pi * at / period_s)) / 2

    return poisson("diurnal", rate, most=most, span_s=span_s, run_time=run_time, seed=seed)


def on_off(
    *, rate: float, on_s: float, off_s: float, span_s: float, run_time: RunTime, seed: int
) -> Trace:
    """Busy stretches of about ``on_s`` and silent ones of about ``off_s``, in turns."""
    draw = random.Random(seed)
    arrivals: list[float] = []
    at = 0.0
    while at < span_s:
        ends = at + draw.expovariate(1 / on_s)
        at += draw.expovariate(rate)
        while at < min(ends, span_s):
            arrivals.append(at)
            at += draw.expovariate(rate)
        at = ends + draw.expovariate(1 / off_s)
    return _trace("on-off", arrivals, draw, run_time, span_s)


def bursts(
    *, size: int, every_s: float, trickle: float, span_s: float, run_time: RunTime, seed: int
) -> Trace:
    """``size`` tasks within a second, every so often, over a trickle of ``trickle`` a second."""
    draw = random.Random(seed)
    arrivals: list[float] = []
    at = draw.expovariate(trickle) if trickle > 0 else span_s
    while at < span_s:
        arrivals.append(at)
        at += draw.expovariate(trickle)
    burst = every_s / 2
    while burst < span_s:
        arrivals += [burst + draw.random() for _ in range(size)]
        burst += every_s
    return _trace("bursts", sorted(arrivals), draw, run_time, span_s)


def spikes(*, every_s: float, size: int, span_s: float, run_time: RunTime, seed: int) -> Trace:
    """What a cron line makes: about ``size`` tasks at the very same moment, again and again."""
    draw = random.Random(seed)
    arrivals: list[float] = []
    at = every_s
    while at < span_s:
        arrivals += [at] * max(1, round(draw.gauss(size, size / 4)))
        at += every_s
    return _trace("cron", arrivals, draw, run_time, span_s)


def _trace(
    name: str, arrivals: list[float], draw: random.Random, run_time: RunTime, span_s: float
) -> Trace:
    return Trace(
        name=name,
        arrivals=arrivals,
        runs=[run_time(draw) for _ in arrivals],
        span_s=max(span_s, arrivals[-1] if arrivals else 0.0),
    )

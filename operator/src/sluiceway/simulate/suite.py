"""The synthetic suite: eight kinds of arrivals, each from a seed of its own.

They stand for what fleets meet, and are no test that a rule could be fitted to: the same
kinds come out otherwise under another seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sluiceway.simulate import synthetic
from sluiceway.simulate.synthetic import constant, exponential, heavy_tailed, lognormal
from sluiceway.simulate.trace import Trace

_HOUR_S = 3600.0


def suite(*, seed: int = 1, hours: float = 2.0) -> list[Trace]:
    """The traces, each of ``hours``."""
    span_s = hours * _HOUR_S
    makers: dict[str, Callable[[int], Trace]] = {
        "steady": lambda s: synthetic.steady(
            rate=10, span_s=span_s, run_time=exponential(2), seed=s
        ),
        "sparse": lambda s: synthetic.steady(
            rate=0.01, span_s=span_s, run_time=lognormal(4, 0.8), seed=s
        ),
        "bursts": lambda s: synthetic.bursts(
            size=500, every_s=1200, trickle=0.2, span_s=span_s, run_time=exponential(3), seed=s
        ),
        "cron": lambda s: synthetic.spikes(
            every_s=300, size=120, span_s=span_s, run_time=exponential(8), seed=s
        ),
        "on-off": lambda s: synthetic.on_off(
            rate=20, on_s=120, off_s=300, span_s=span_s, run_time=exponential(1), seed=s
        ),
        "diurnal": lambda s: synthetic.diurnal(
            least=0.5,
            most=20,
            period_s=span_s / 2,
            span_s=span_s,
            run_time=lognormal(1, 1),
            seed=s,
        ),
        "heavy-tailed": lambda s: synthetic.steady(
            rate=3,
            span_s=span_s,
            run_time=heavy_tailed(5, shape=1.3, longest_s=1800),
            seed=s,
        ),
        "long tasks": lambda s: synthetic.steady(
            rate=0.05, span_s=span_s, run_time=constant(300), seed=s
        ),
    }
    return [
        replace(make(seed * 1000 + number), name=name)
        for number, (name, make) in enumerate(makers.items())
    ]

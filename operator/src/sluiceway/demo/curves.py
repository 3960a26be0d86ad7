"""From attempts at tasks to curves over time: how many wait, and how long each waited.

Exact, because every change of these numbers is a row in the database; no sampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluiceway.demo.tally import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """A number that changes at moments: ``values[i]`` holds from ``times[i]`` on."""

    times: tuple[float, ...]
    values: tuple[float, ...]


def waiting(runs: Iterable[Run]) -> Steps:
    """How many attempts are due and have not started."""
    # A quick worker starts before the publisher has written down that it published.
    return _level(
        (run.due if run.started is None else min(run.due, run.started), run.started) for run in runs
    )


def waited(runs: Sequence[Run]) -> tuple[tuple[float, float], ...]:
    """(when it started, how long it had waited) of each attempt, in seconds."""
    return tuple(
        sorted(
            (run.started, run.waited_s)
            for run in runs
            if run.started is not None and run.waited_s is not None
        )
    )


def _level(spans: Iterable[tuple[float, float | None]]) -> Steps:
    """How many of the spans (from, to) are open at each moment; an open end stays open."""
    changes: dict[float, int] = {}
    for start, end in spans:
        changes[start] = changes.get(start, 0) + 1
        if end is not None:
            changes[end] = changes.get(end, 0) - 1
    level, times, values = 0, [], []
    for at in sorted(changes):
        level += changes[at]
        times.append(at)
        values.append(float(level))
    return Steps(times=tuple(times), values=tuple(values))

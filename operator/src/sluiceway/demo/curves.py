"""From attempts at tasks to curves over time: how many wait, how many run, since when.

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

    @property
    def most(self) -> float:
        """The largest value; 0 where nothing ever happened."""
        return max(self.values, default=0.0)


def waiting(runs: Iterable[Run]) -> Steps:
    """How many attempts are due and have not started."""
    # A quick worker starts before the publisher has written down that it published.
    return _level((min(run.due, run.started or run.due), run.started) for run in runs)


def running(runs: Iterable[Run]) -> Steps:
    """How many attempts have started and not ended."""
    return _level((run.started, run.finished) for run in runs if run.started is not None)


def waited(runs: Sequence[Run]) -> tuple[tuple[float, float], ...]:
    """(when it started, how long it had waited) of each attempt, in seconds."""
    return tuple(
        sorted(
            (run.started, run.waited_s)
            for run in runs
            if run.started is not None and run.waited_s is not None
        )
    )


def _level(spans: Iterable[tuple[float | None, float | None]]) -> Steps:
    """How many of the spans (from, to) are open at each moment; an open end stays open."""
    changes: dict[float, int] = {}
    for start, end in spans:
        if start is not None:
            changes[start] = changes.get(start, 0) + 1
        if end is not None:
            changes[end] = changes.get(end, 0) - 1
    level, times, values = 0, [], []
    for at in sorted(changes):
        level += changes[at]
        times.append(at)
        values.append(float(level))
    return Steps(times=tuple(times), values=tuple(values))

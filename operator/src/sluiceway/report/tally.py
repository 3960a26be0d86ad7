"""Counts of one fleet's tasks that only rise, however its workers come and go.

A worker counts from its own start, and its count goes with it. What it added since it
was heard last is added here, so that a fleet that was scaled to zero keeps its sums.
What a worker did after its last heartbeat that anybody read is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sluiceway.report.work import FleetWork
from sluiceway_worker.heartbeat import TaskWork
from sluiceway_worker.wire import BOUNDS_S

MAX_SERIES = 100
"""Pairs of queue and task name that are told apart in one fleet; the rest are summed."""
MAX_EXCEPTIONS = 30
"""Names of exceptions that are told apart in one fleet; the rest are summed."""
_FORGET_AFTER_S = 600.0
"""Longer than any worker is silent and comes back: it would be counted anew."""

Key = tuple[str, str]
"""Queue and task name; two empty ones for the rest."""


@dataclass(slots=True)
class Sums:
    """One task name from one queue, over all workers that the fleet had."""

    started: int = 0
    succeeded: int = 0
    retried: int = 0
    rejected: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    run_sum_s: float = 0.0
    runs: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    wait_sum_s: float = 0.0
    waits: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))


@dataclass(slots=True)
class _Worker:
    heard_at: float
    told: Sequence[TaskWork]
    """As its heartbeat had it; one that did nothing since tells the same object."""
    done: dict[Key, TaskWork]


_NOTHING = TaskWork(queue="", name="")


class Tally:
    """The sums of one fleet."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.sums: dict[Key, Sums] = {}
        self._workers: dict[str, _Worker] = {}
        self._exceptions: set[str] = set()

    def add(self, work: FleetWork, at: float) -> None:
        """Add what is new in these heartbeats.

        Args:
            at: when they were read, Unix seconds.
        """
        for incarnation, done in work.done.items():
            before = self._workers.get(incarnation)
            if before is not None and before.told is done:
                before.heard_at = at
                continue
            now = {(one.queue, one.name): one for one in done}
            for key, one in now.items():
                was = before.done.get(key, _NOTHING) if before else _NOTHING
                if one != was:  # most names are quiet at most times
                    self._grow(key, was, one)
            self._workers[incarnation] = _Worker(heard_at=at, told=done, done=now)
        self._workers = {
            incarnation: worker
            for incarnation, worker in self._workers.items()
            if at - worker.heard_at < _FORGET_AFTER_S
        }

    def _grow(self, key: Key, before: TaskWork, now: TaskWork) -> None:
        if key not in self.sums and len(self.sums) >= MAX_SERIES:
            key = ("", "")
        sums = self.sums.setdefault(key, Sums())
        sums.started += _rise(before.started, now.started)
        sums.succeeded += _rise(before.succeeded, now.succeeded)
        sums.retried += _rise(before.retried, now.retried)
        sums.rejected += _rise(before.rejected, now.rejected)
        sums.run_sum_s += max(0.0, now.run_sum_s - before.run_sum_s)
        sums.wait_sum_s += max(0.0, now.wait_sum_s - before.wait_sum_s)
        _rise_each(sums.runs, before.runs, now.runs)
        _rise_each(sums.waits, before.waits, now.waits)
        for exception, count in now.failed.items():
            name = exception
            if name not in self._exceptions and len(self._exceptions) >= MAX_EXCEPTIONS:
                name = ""
            self._exceptions.add(name)
            rise = _rise(before.failed.get(exception, 0), count)
            sums.failed[name] = sums.failed.get(name, 0) + rise


def _rise(before: int, now: int) -> int:
    return max(0, now - before)


def _rise_each(sums: list[int], before: Sequence[int], now: Sequence[int]) -> None:
    for at, count in enumerate(now[: len(sums)]):
        sums[at] += _rise(before[at] if at < len(before) else 0, count)

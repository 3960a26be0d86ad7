"""What ran in this worker: running now, ended, how long, how long it waited.

Celery's own numbers do not suffice: its counters know no run times, and under
prefork the task signals fire in the children. The ledger is told by the parent's
callbacks (``runs``), and read by the heartbeat from another thread. It knows
nothing of Celery.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from sluiceway_worker.heartbeat import RunningTask, TaskTimes, TaskWork
from sluiceway_worker.wire import MAX_TASK_NAMES
from sluiceway_worker.work import Work, longest

if TYPE_CHECKING:
    from collections.abc import Hashable


class Outcome(enum.Enum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    RETRIED = "retried"
    REJECTED = "rejected"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Counts:
    """A reading of the ledger; cumulative since the worker's start but for the first two."""

    active: int
    running_for_s: float | None
    processed: int
    failed: int
    retried: int
    waits: int
    wait_sum_s: float
    tasks: dict[str, TaskTimes] = field(default_factory=dict)
    work: list[TaskWork] = field(default_factory=list)
    running: list[RunningTask] = field(default_factory=list)


class Ledger:
    """Counts runs. Safe to call from any thread; all times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[Hashable, tuple[str, float, str]] = {}
        self._sums: dict[str, list[float]] = {}
        self._processed = 0
        self._failed = 0
        self._retried = 0
        self._waits = 0
        self._wait_sum_s = 0.0
        self._work = Work()

    def started(
        self, run: Hashable, name: str, at: float, waited_s: float | None, queue: str = ""
    ) -> None:
        """A run began; ``waited_s`` is None where its message carries no stamp."""
        with self._lock:
            self._running[run] = (name, at, queue)
            self._work.began(queue, name, waited_s)
            if waited_s is not None:
                self._waits += 1
                self._wait_sum_s += max(0.0, waited_s)

    def ended(self, run: Hashable, outcome: Outcome, at: float, exception: str = "") -> None:
        """A run ended. Saying it twice counts once: a time limit is told by two callbacks.

        Args:
            exception: the class of what a failed one ended with.
        """
        with self._lock:
            begun = self._running.pop(run, None)
            if begun is None:
                return
            name, since, queue = begun
            took_s = max(0.0, at - since)
            self._work.ended(queue, name, outcome.value, took_s, exception)
            if name not in self._sums and len(self._sums) >= MAX_TASK_NAMES:
                name = ""
            sums = self._sums.setdefault(name, [0, 0.0, 0.0])
            sums[0] += 1
            sums[1] += took_s
            sums[2] += took_s * took_s
            self._processed += 1
            self._failed += outcome is Outcome.FAILED
            self._retried += outcome is Outcome.RETRIED

    def running(self) -> list[tuple[Hashable, float]]:
        """The runs of this moment, each with its start."""
        with self._lock:
            return [(run, since) for run, (_, since, _) in self._running.items()]

    def read(self, now: float) -> Counts:
        with self._lock:
            starts = [since for _, since, _ in self._running.values()]
            return Counts(
                active=len(starts),
                running_for_s=max(0.0, now - min(starts)) if starts else None,
                processed=self._processed,
                failed=self._failed,
                retried=self._retried,
                waits=self._waits,
                wait_sum_s=self._wait_sum_s,
                tasks={
                    name: TaskTimes(int(count), sum_s, sumsq)
                    for name, (count, sum_s, sumsq) in self._sums.items()
                },
                work=self._work.read(),
                running=longest(self._running.values(), now),
            )

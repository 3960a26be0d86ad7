"""A trace: which tasks arrive when, and how long each of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class TraceError(Exception):
    """A trace that cannot be used; says where and why, in a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Tasks in the order of their arrival. Columns of equal length, one entry a task."""

    name: str
    arrivals: Sequence[float]
    """Seconds from the trace's start, rising."""
    runs: Sequence[float]
    """Run times, seconds."""
    tasks: Sequence[int] = ()
    """Which of ``names`` each is; empty: all are of one name."""
    names: tuple[str, ...] = ("task",)
    queues: Sequence[str] = ()
    """The queue of each; empty: the trace tells of one queue alone."""
    span_s: float
    """How long the trace lasts, at least up to its last arrival."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def run_total_s(self) -> float:
        """The run times of all tasks together."""
        return sum(self.runs)

    @property
    def mean_run_s(self) -> float:
        """0 where there is no task."""
        return self.run_total_s / len(self) if len(self) else 0.0

    def of_queues(self, queues: Iterable[str]) -> Trace:
        """Only the tasks of these queues; all of them where the trace names no queue."""
        if not self.queues:
            return self
        wanted = frozenset(queues)
        kept = [index for index, queue in enumerate(self.queues) if queue in wanted]
        return Trace(
            name=self.name,
            arrivals=[self.arrivals[i] for i in kept],
            runs=[self.runs[i] for i in kept],
            tasks=[self.tasks[i] for i in kept] if self.tasks else (),
            names=self.names,
            queues=[self.queues[i] for i in kept],
            span_s=self.span_s,
        )

"""One simulated worker: what it holds, and what its heartbeat would say."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sluiceway.decide.observation import RunTimes, WorkerState, WorkerView


class Worker:
    """A pod with one Celery worker in it. Times are seconds of the trace."""

    __slots__ = (
        "_told",
        "_told_at",
        "active",
        "asked_at",
        "gone_at",
        "incarnation",
        "leased",
        "listed",
        "name",
        "processed",
        "ready",
        "ready_at",
        "reserved",
        "slots",
        "stopping",
        "sums",
    )

    def __init__(self, name: str, *, asked_at: float, ready_at: float, slots: int) -> None:
        self.name = name
        self.incarnation = f"{name}:1"
        self.asked_at = asked_at
        self.ready_at = ready_at
        self.slots = slots
        self.ready = False
        self.leased = False
        """Asked to drain."""
        self.stopping = False
        """Told to go (SIGTERM); takes nothing any more."""
        self.gone_at: float | None = None
        self.active: list[int] = []
        """Tasks that run, the oldest first."""
        self.reserved: deque[int] = deque()
        self.listed = False
        """Whether it stands in the line of those with room."""
        self.processed = 0
        self.sums: dict[int, list[float]] = {}
        """Number, seconds and seconds squared of the runs that ended, by task name."""
        self._told: dict[str, RunTimes] = {}
        self._told_at = 0

    @property
    def takes(self) -> bool:
        """Whether it would take a message now, if it had room."""
        return self.ready and not self.leased and not self.stopping

    def ended(self, name: int, run_s: float) -> None:
        """Count a run that came to its end."""
        self.processed += 1
        sums = self.sums.get(name)
        if sums is None:
            self.sums[name] = [1.0, run_s, run_s * run_s]
        else:
            sums[0] += 1.0
            sums[1] += run_s
            sums[2] += run_s * run_s

    def view(self, now: float, started: Sequence[float], names: Sequence[str]) -> WorkerView:
        """Its heartbeat at ``now``; ``started`` has the start of each task."""
        if not self.ready:
            state = WorkerState.STOPPING if self.stopping else WorkerState.STARTING
            return WorkerView(name=self.name, state=state)
        return WorkerView(
            name=self.name,
            incarnation=self.incarnation,
            state=self._state(),
            slots=self.slots,
            active=len(self.active),
            reserved=len(self.reserved),
            running_for_s=now - started[self.active[0]] if self.active else None,
            processed=self.processed,
            tasks=self._run_times(names),
            started_in_s=self.ready_at - self.asked_at,
        )

    def _state(self) -> WorkerState:
        if self.stopping:
            return WorkerState.STOPPING
        if not self.leased:
            return WorkerState.CONSUMING
        return WorkerState.DRAINING if self.active else WorkerState.DRAINED

    def _run_times(self, names: Sequence[str]) -> dict[str, RunTimes]:
        if self._told_at != self.processed:
            self._told_at = self.processed
            self._told = {
                names[name]: RunTimes(count=int(count), sum_s=sum_s, sumsq_s2=sumsq)
                for name, (count, sum_s, sumsq) in self.sums.items()
            }
        return self._told

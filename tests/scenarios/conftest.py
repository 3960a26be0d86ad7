"""A small fleet on a virtual clock, so that decisions can be watched over time.

``Fleet`` plays Redis, the workers and the cluster in the plainest way that still has
what matters: messages that wait, workers that take time to start, run tasks, hold ETA
tasks, drain, and go. It feeds ``decide`` with observations and does what it says. It
is exact and has no randomness, so a timeline is the same on every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide
from sluiceway.decide.decision import Decision, Reason
from sluiceway.decide.history import History
from sluiceway.decide.observation import (
    Observation,
    QueueView,
    RunTimes,
    WorkerState,
    WorkerView,
)

START = 1_764_000_000.0
"""Some Monday; timelines count seconds from here."""


@dataclass(eq=False)
class Task:
    published: float
    run_s: float
    eta: float | None = None
    started: float | None = None
    finished: float | None = None
    runs_begun: int = 0

    @property
    def waited_s(self) -> float | None:
        """From when it was due until it started."""
        if self.started is None:
            return None
        return self.started - max(self.published, self.eta or 0.0)


@dataclass(eq=False)
class Worker:
    name: str
    asked_at: float
    ready_at: float
    slots: int
    running: list[Task] = field(default_factory=list)
    held: list[Task] = field(default_factory=list)
    asked_to_drain: bool = False
    processed: int = 0
    runs: RunTimes = field(default_factory=RunTimes)

    def state(self, now: float) -> WorkerState:
        if now < self.ready_at:
            return WorkerState.STARTING
        if not self.asked_to_drain:
            return WorkerState.CONSUMING
        return WorkerState.DRAINING if self.running else WorkerState.DRAINED

    def view(self, now: float) -> WorkerView:
        if now < self.ready_at:
            return WorkerView(name=self.name, state=WorkerState.STARTING)
        return WorkerView(
            name=self.name,
            incarnation=f"{self.name}:1",
            state=self.state(now),
            slots=self.slots,
            active=len(self.running),
            scheduled=len(self.held),
            earliest_eta=min((t.eta for t in self.held if t.eta is not None), default=None),
            running_for_s=max((now - (t.started or now) for t in self.running), default=None),
            processed=self.processed,
            tasks={"task": self.runs},
            started_in_s=self.ready_at - self.asked_at,
        )


@dataclass(eq=False)
class Fleet:
    spec: TaskQueueSpec
    slots: int = 1
    cold_start_s: float = 5.0
    tick_s: float = 1.0
    now: float = START
    replicas: int = 0
    history: History = field(default_factory=History)
    waiting: list[Task] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    cut_short: list[Task] = field(default_factory=list)
    broker_problem: str | None = None
    rolling_out: bool = False
    parks: bool = False
    """Whether workers move aside what is far ahead, and bring it back in time."""
    parked: list[Task] = field(default_factory=list)
    worker_seconds: float = 0.0
    _names: int = 0

    def publish(
        self, number: int = 1, *, run_s: float = 1.0, countdown: float | None = None
    ) -> None:
        """Messages that arrive now."""
        for _ in range(number):
            eta = None if countdown is None else self.now + countdown
            task = Task(published=self.now, run_s=run_s, eta=eta)
            self.tasks.append(task)
            self.waiting.append(task)

    def run(self, seconds: float, each_tick: Callable[[Fleet], None] | None = None) -> Fleet:
        """Let time pass; ``each_tick`` may publish, break or change things."""
        end = self.now + seconds
        while self.now < end:
            if each_tick is not None:
                each_tick(self)
            self.tick()
        return self

    def tick(self) -> Decision:
        """Observe, decide, act, and let one tick pass."""
        decision = decide(self.spec, self.observe(), self.history, self.now)
        self.history = decision.history
        self.decisions.append(decision)
        self._act(decision)
        begun, steps = self.now, 10
        for step in range(1, steps + 1):
            self.now = begun + self.tick_s * step / steps  # not +=, which would drift
            self._work()
            self.worker_seconds += len(self.workers) * self.tick_s / steps
        return decision

    def observe(self) -> Observation:
        if self.broker_problem is not None:
            return Observation(
                at=self.now,
                queues=(QueueView(name="q", problem=self.broker_problem),),
                workers=tuple(
                    WorkerView(name=w.name, state=WorkerState.SILENT) for w in self.workers
                ),
                replicas=self.replicas,
                broker_problem=self.broker_problem,
                rolling_out=self.rolling_out,
            )
        head = self.waiting[0] if self.waiting else None
        later = head is not None and head.eta is not None and head.eta > self.now
        oldest = max(
            (self.now - max(t.published, t.eta or 0.0) for t in self.waiting), default=None
        )
        return Observation(
            at=self.now,
            queues=(
                QueueView(
                    name="q",
                    length=len(self.waiting),
                    oldest_wait_s=None if oldest is None or oldest < 0 else oldest,
                    head_eta=head.eta if head is not None and later else None,
                    parked=len(self.parked),
                    parked_etas=tuple(sorted(t.eta or 0.0 for t in self.parked)),
                ),
            ),
            workers=tuple(w.view(self.now) for w in self.workers),
            replicas=self.replicas,
            in_flight=sum(len(w.running) for w in self.workers),
            rolling_out=self.rolling_out,
        )

    def _act(self, decision: Decision) -> None:
        for worker in self.workers:
            worker.asked_to_drain = f"{worker.name}:1" in decision.drain
            if worker.asked_to_drain:
                self.waiting[:0] = worker.held
                worker.held = []
        for name in decision.remove:
            worker = next(w for w in self.workers if w.name == name)
            self.cut_short += worker.running
            self.workers.remove(worker)
        self.replicas = decision.replicas
        while len(self.workers) < self.replicas:
            self._names += 1
            self.workers.append(
                Worker(
                    name=f"w{self._names:03}",
                    asked_at=self.now,
                    ready_at=self.now + self.cold_start_s,
                    slots=self.slots,
                )
            )

    def _work(self) -> None:
        for worker in self.workers:
            for task in [
                t for t in worker.running if self.now - (t.started or 0) >= t.run_s - 1e-9
            ]:
                worker.running.remove(task)
                task.finished = self.now
                worker.processed += 1
                worker.runs = RunTimes(
                    count=worker.runs.count + 1,
                    sum_s=worker.runs.sum_s + task.run_s,
                    sumsq_s2=worker.runs.sumsq_s2 + task.run_s**2,
                )
            due = [t for t in worker.held if t.eta is not None and t.eta <= self.now]
            for task in due[: worker.slots - len(worker.running)]:
                worker.held.remove(task)
                self._start(worker, task)
        if any(w.state(self.now) is not WorkerState.STARTING for w in self.workers):
            back = [t for t in self.parked if (t.eta or 0.0) <= self.now + 10]
            self.parked = [t for t in self.parked if t not in back]
            self.waiting[:0] = back
        # In turns, one message each, as competing consumers take them.
        for turn in range(max((w.slots for w in self.workers), default=0)):
            for worker in self.workers:
                consuming = worker.state(self.now) is WorkerState.CONSUMING
                if not self.waiting or not consuming or len(worker.running) > turn:
                    continue
                task = self.waiting.pop(0)
                if self.parks and task.eta is not None and task.eta > self.now + 60:
                    self.parked.append(task)
                elif task.eta is not None and task.eta > self.now:
                    worker.held.append(task)
                else:
                    self._start(worker, task)

    def _start(self, worker: Worker, task: Task) -> None:
        task.started = self.now
        task.runs_begun += 1
        worker.running.append(task)

    # What the tests ask.

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    @property
    def sizes(self) -> list[int]:
        """Workers asked for, tick by tick."""
        return [d.replicas for d in self.decisions]

    @property
    def actions(self) -> int:
        """How often the number of workers was changed."""
        return sum(d.replicas != d.current for d in self.decisions)

    def reasons(self) -> list[Reason]:
        """The reasons in the order in which they came, repetitions left out."""
        found: list[Reason] = []
        for decision in self.decisions:
            if not found or found[-1] is not decision.reason:
                found.append(decision.reason)
        return found

    def share_within(self, wait_s: float) -> float:
        """The share of started tasks that waited at most ``wait_s``."""
        waits = [t.waited_s for t in self.tasks if t.waited_s is not None]
        return sum(w <= wait_s for w in waits) / len(waits) if waits else math.nan

    def finished_all_once(self) -> bool:
        return not self.cut_short and all(
            t.finished is not None and t.runs_begun == 1 for t in self.tasks
        )


@pytest.fixture
def new_fleet() -> Callable[..., Fleet]:
    """A fleet from the scaling section of a spec, as keyword arguments of ``Scaling``."""

    def make(scaling: dict[str, object] | None = None, **fleet: object) -> Fleet:
        spec = TaskQueueSpec.model_validate({"queues": ["q"], "scaling": scaling or {}})
        return Fleet(spec=spec, **fleet)  # type: ignore[arg-type]

    return make

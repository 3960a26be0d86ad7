"""The world that policies are tried in: a queue, and workers that take from it.

    arrivals ──▶ waiting ──▶ a worker with room ──▶ its slots ──▶ done

It plays Celery on Redis in a cluster in the plainest way that still has what matters:
messages that wait in one line, workers that take a cold start to be there, slots,
prefetched messages that no other worker can have, drain and recall, and pods that are
told to go and have a grace period to finish. It reads no clock and draws no number: the
same trace under the same orders is the same run.

Time is seconds of the trace. ``advance`` lets it pass, up to the moment at which whoever
steers wants to look again; everything else is an order or a look.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from sluiceway.simulate.trace import Trace
from sluiceway.simulate.worker import Worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Plant:
    """What no policy can change: what a worker is, and how the cluster treats it."""

    slots: int = 1
    """Tasks that one worker runs at once."""
    cold_start_s: float = 5.0
    """From asking for a worker until it consumes."""
    prefetch: int = 1
    """Messages that a worker takes for each slot, those that run included; 1: no more
    than it can run."""
    grace_s: float = 3630.0
    """How long a worker that was told to go may finish what it runs."""
    redelivery_s: float = 3600.0
    """After how long a task that was cut short is back in its queue (with late
    acknowledgement: the visibility timeout)."""


WAKE_S = 0.02
"""From a message to the look that it causes: what came with it is seen, too."""

_NEVER = math.inf
_READY, _KILL, _REDELIVER = range(3)


class World:
    """The queue and the workers, from the trace's start to its end."""

    def __init__(self, trace: Trace, plant: Plant) -> None:
        self.trace = trace
        self.plant = plant
        self.now = 0.0
        self.replicas = 0
        """Workers that are asked for."""
        self.workers: dict[str, Worker] = {}
        """Those that exist, by name, the oldest first; also those that were told to go."""
        self.waiting: deque[int] = deque()
        self.started: list[float] = [math.nan] * len(trace)
        """When each task started, the first time; nan: not yet."""
        self.ended: int = 0
        self.cut: int = 0
        """Runs that were cut short."""
        self.last_end = 0.0
        self.sizes: list[tuple[float, int]] = []
        """(seconds, workers that exist) at each change."""
        self._arrivals = [*trace.arrivals, _NEVER]
        self._runs = trace.runs
        self._tasks = trace.tasks or bytes(len(trace))
        self._next = 0
        self._began: list[float] = list(self.started)
        """When its present run began."""
        self._ends: list[tuple[float, int, Worker]] = []
        self._room: deque[Worker] = deque()
        """The line of those that wait for a message, as Redis serves blocked clients."""
        self._changes: list[tuple[float, int, int, object]] = []
        self._serial = 0
        self._worker_s = 0.0
        self._capacity = plant.slots * plant.prefetch

    # What there is to see.

    @property
    def done(self) -> bool:
        """Nothing will ever arrive or end again."""
        return self.ended == len(self.trace)

    @property
    def oldest_wait_s(self) -> float | None:
        """How long the message at the head has waited; None when none waits."""
        return self.now - self._arrivals[self.waiting[0]] if self.waiting else None

    @property
    def arrived(self) -> int:
        """Tasks that have come so far."""
        return self._next

    @property
    def running(self) -> int:
        """Tasks that run now."""
        return len(self._ends)

    @property
    def began(self) -> list[float]:
        """When each task's present run began."""
        return self._began

    def staying(self) -> list[Worker]:
        """Workers that were not told to go."""
        return [worker for worker in self.workers.values() if not worker.stopping]

    def worker_seconds(self, end: float) -> float:
        """Seconds that workers existed up to ``end``, which is not before the last order."""
        return self._worker_s + sum(
            max(0.0, end - worker.asked_at) for worker in self.workers.values()
        )

    # What can be ordered.

    def scale(self, replicas: int, remove: Collection[str] = ()) -> None:
        """Ask for this many; the named ones go first, then whom Kubernetes would take.

        That is whoever is not ready, then the youngest, busy or not.
        """
        for name in remove:
            self._tell_to_go(self.workers[name])
        self.replicas = replicas
        staying = self.staying()
        if len(staying) > replicas:
            staying.sort(key=lambda w: (w.ready, -w.ready_at, w.name))
            for worker in staying[: len(staying) - replicas]:
                self._tell_to_go(worker)
        for _ in range(replicas - len(staying)):
            self._create()

    def drain(self, incarnations: Collection[str]) -> None:
        """Ask these to drain, and recall every other that drains."""
        for worker in self.workers.values():
            leased = worker.incarnation in incarnations
            if leased == worker.leased:
                continue
            worker.leased = leased
            if leased:
                self._give_back(worker)
            else:
                self._line_up(worker)
        self._hand_out()

    # How time passes.

    def advance(self, until: float, *, on_message: bool = False, on_worker: bool = False) -> None:
        """Let time pass up to ``until``, or to where nothing more will happen.

        Args:
            on_message: stop soon (``WAKE_S``) after the first message of an empty queue that
                nobody took.
            on_worker: stop when a worker came or went.
        """
        while True:
            change_at = self._changes[0][0] if self._changes else _NEVER
            horizon = min(until, change_at)
            if self._serve(horizon, on_message):
                on_message = False
                until = min(until, self.now + WAKE_S)
                continue
            if change_at > until or (change_at == _NEVER and until == _NEVER):
                self.now = max(self.now, until if until < _NEVER else self.last_end)
                return
            self.now = change_at
            changed = False
            while self._changes and self._changes[0][0] <= change_at:
                _, _, kind, what = heappop(self._changes)
                changed |= self._change(kind, what)
            self._hand_out()
            if changed and on_worker:
                return

    def _serve(self, horizon: float, on_message: bool) -> bool:
        """Let messages come and runs end up to ``horizon``, both ends of it included.

        The one place that is visited for every task: names are local for speed.

        Returns:
            Whether it stopped early, at the first message of an empty queue.
        """
        arrivals, runs, tasks = self._arrivals, self._runs, self._tasks
        ends, waiting, room = self._ends, self.waiting, self._room
        began, started = self._began, self.started
        slots, capacity = self.plant.slots, self._capacity
        index = self._next
        arrives_at = arrivals[index]
        while True:
            if ends and ends[0][0] <= arrives_at:
                now, task, worker = ends[0]
                if now > horizon:
                    break
                worker.active.remove(task)
                worker.ended(tasks[task], runs[task])
                self.ended += 1
                self.last_end = now
                if worker.reserved:
                    following = worker.reserved.popleft()
                elif waiting and worker.ready and not worker.leased and not worker.stopping:
                    following = waiting.popleft()
                else:
                    heappop(ends)
                    if worker.stopping:
                        if not worker.active:
                            self._gone(worker, now)
                    elif not worker.listed:
                        self._line_up(worker)
                    continue
                if started[following] != started[following]:
                    started[following] = now
                began[following] = now
                worker.active.append(following)
                heapreplace(ends, (now + runs[following], following, worker))
                if capacity > slots and waiting and worker.takes:
                    while waiting and len(worker.active) + len(worker.reserved) < capacity:
                        worker.reserved.append(waiting.popleft())
                continue
            if arrives_at > horizon or arrives_at == _NEVER:
                break
            now = arrives_at
            while room:
                worker = room.popleft()
                worker.listed = False
                if not worker.ready or worker.leased or worker.stopping:
                    continue
                active = worker.active
                if len(active) < slots:
                    started[index] = began[index] = now
                    active.append(index)
                    heappush(ends, (now + runs[index], index, worker))
                else:
                    worker.reserved.append(index)
                if len(active) + len(worker.reserved) < capacity:
                    worker.listed = True
                    room.append(worker)
                break
            else:
                waiting.append(index)
                if on_message and len(waiting) == 1:
                    self._next = index + 1
                    self.now = now
                    return True
            index += 1
            arrives_at = arrivals[index]
        self._next = index
        if horizon < _NEVER:
            self.now = max(self.now, horizon)
        return False

    def _hand_out(self) -> None:
        """Messages that wait to workers with room: in turns, one message each."""
        while self.waiting and self._room:
            worker = self._room.popleft()
            worker.listed = False
            if not worker.takes:
                continue
            task = self.waiting.popleft()
            if len(worker.active) < self.plant.slots:
                self._start(worker, task)
            else:
                worker.reserved.append(task)
            self._line_up(worker)

    def _start(self, worker: Worker, task: int) -> None:
        if math.isnan(self.started[task]):
            self.started[task] = self.now
        self._began[task] = self.now
        worker.active.append(task)
        heappush(self._ends, (self.now + self._runs[task], task, worker))

    def _line_up(self, worker: Worker) -> None:
        if worker.listed or not worker.takes:
            return
        if len(worker.active) + len(worker.reserved) < self._capacity:
            worker.listed = True
            self._room.append(worker)

    def _give_back(self, worker: Worker) -> None:
        """What it only reserved goes back to the head of the queue, in its old order."""
        self.waiting.extendleft(reversed(worker.reserved))
        worker.reserved.clear()

    def _create(self) -> None:
        self._serial += 1
        worker = Worker(
            f"w{self._serial:06}",
            asked_at=self.now,
            ready_at=self.now + self.plant.cold_start_s,
            slots=self.plant.slots,
        )
        self.workers[worker.name] = worker
        self._count()
        self._plan(worker.ready_at, _READY, worker)

    def _tell_to_go(self, worker: Worker) -> None:
        if worker.stopping:
            return
        worker.stopping = True
        self._give_back(worker)
        if not worker.active:
            self._gone(worker, self.now)
        else:
            self._plan(self.now + self.plant.grace_s, _KILL, worker)
        self._hand_out()

    def _gone(self, worker: Worker, at: float) -> None:
        worker.gone_at = at
        del self.workers[worker.name]
        self._worker_s += at - worker.asked_at
        self._count(at)

    def _count(self, at: float | None = None) -> None:
        self.sizes.append((self.now if at is None else at, len(self.workers)))

    def _plan(self, at: float, kind: int, what: object) -> None:
        self._serial += 1
        heappush(self._changes, (at, self._serial, kind, what))

    def _change(self, kind: int, what: object) -> bool:
        """Something that was planned happens; whether it is news of a worker."""
        if kind == _REDELIVER:
            assert isinstance(what, int)
            self.waiting.append(what)
            return False
        assert isinstance(what, Worker)
        if what.gone_at is not None:
            return False
        if kind == _READY:
            what.ready = True
            self._line_up(what)
            return True
        for task in what.active:
            self.cut += 1
            self._plan(self.now + self.plant.redelivery_s, _REDELIVER, task)
        self._ends = [end for end in self._ends if end[2] is not what]
        self._ends.sort()
        what.active.clear()
        self._gone(what, self.now)
        return True

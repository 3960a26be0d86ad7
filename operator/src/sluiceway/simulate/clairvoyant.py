"""What could be had by somebody who knows the future: a bound, and a plan.

The bound is the run time of all tasks over the slots of a worker: no cold start, no idle
moment. Nobody reaches it. The plan starts each task no later than its target allows, pays
for cold starts, and knows every arrival and every run time beforehand; it is a search and
not the optimum, but a schedule that could be had, so the optimum costs no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

from sluiceway.simulate.run import Run
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant

NAME = "clairvoyant"

_LOOK_AHEAD = 20
"""How many times as far as it has come a search looks on, in tasks."""

_HALVINGS = 6
"""How closely the last moment for new slots is found."""

_Slot = tuple[float, int]
"""(when it is free, which one it is)."""


def bound_s(trace: Trace, plant: Plant) -> float:
    """Worker-seconds below which nobody can be."""
    return trace.run_total_s / plant.slots


def plan(trace: Trace, plant: Plant, *, max_wait_s: float, high: int) -> Run:
    """A schedule that knows the future; ``high`` bounds the workers, late is then late.

    Slots come and go one by one, which flatters workers of several slots a little.
    """
    search = _Search(trace, plant.cold_start_s, max_wait_s, high * plant.slots)
    search.run()
    end = max([trace.span_s, *(at for at, _ in search.gone)])
    moves = [(at - plant.cold_start_s, 1) for at in search.born]
    moves += [(at, -1) for at, _ in search.gone]
    return Run(
        policy=NAME,
        trace=trace,
        plant=plant,
        starts=search.starts,
        sizes=_sizes(moves, plant.slots),
        worker_s=-sum(at * change for at, change in moves) / plant.slots,
        end_s=end,
    )


@dataclass(frozen=True, slots=True)
class _Queue:
    """Where messages began to wait, and what the slots were then."""

    task: int
    free: list[_Slot]
    born: int
    gone: int


class _Search:
    """Oldest task to the slot that is free first; where one would be late, go back.

    Back to where its queue began to form: the fewest new slots that let all of that queue
    be in time are added there, since each works longest for its cold start if it comes
    early; and then as late as those few may come, so that more waits for each. A slot
    that would have nothing to do for longer than a cold start takes is gone at once.
    """

    def __init__(self, trace: Trace, cold_s: float, max_wait_s: float, most: int) -> None:
        self.starts = [math.nan] * len(trace)
        self.born: list[float] = []
        """When each slot was ready."""
        self.gone: list[_Slot] = []
        self._arrivals, self._runs = trace.arrivals, trace.runs
        self._cold, self._wait, self._most = cold_s, max_wait_s, most
        self._free: list[_Slot] = []
        """Slots that exist and are busy, or not there yet."""
        self._idle: list[_Slot] = []
        """Slots that have nothing to do, the freshest last."""

    def run(self) -> None:
        """Find a start for each task."""
        queue: _Queue | None = None
        task = 0
        while task < len(self._arrivals):
            arrived = self._arrivals[task]
            free, idle = self._free, self._idle
            while free and free[0][0] <= arrived:
                idle.append(heappop(free))
            if idle:
                queue = None
                # Whoever was free last goes on, so that the others may be gone.
                at, slot = idle.pop()
                if at + self._cold < arrived:
                    idle.append((at, slot))
                    self.gone += idle
                    idle.clear()
                else:
                    self._give(task, slot, arrived)
                    task += 1
                    continue
            queue = queue or _Queue(task, free.copy(), len(self.born), len(self.gone))
            late = not free or free[0][0] > self._latest(task)
            if late and len(free) < self._most:
                self._grow(queue, task)
                task, queue = queue.task, None
                continue
            at, slot = heappop(free)
            self._give(task, slot, at)
            task += 1
        self.gone += self._free
        self.gone += self._idle

    def _give(self, task: int, slot: int, start: float) -> None:
        self.starts[task] = start
        heappush(self._free, (start + self._runs[task], slot))

    def _latest(self, task: int) -> float:
        # Nobody can be started before the trace begins.
        return max(self._arrivals[task] + self._wait, self._cold)

    def _grow(self, queue: _Queue, late: int) -> None:
        """Go back to where ``queue`` began, with as many slots more as it needs."""
        del self.born[queue.born :]
        del self.gone[queue.gone :]
        first = max(self._arrivals[queue.task], self._cold)
        last = self._latest(queue.task)
        room = self._most - len(queue.free)
        few, enough = 0, 1
        while enough < room and not self._in_time(queue, late, enough, first):
            few, enough = enough, min(2 * enough, room)
        while enough - few > 1:
            middle = (few + enough) // 2
            if self._in_time(queue, late, middle, first):
                enough = middle
            else:
                few = middle
        if self._in_time(queue, late, enough, last):
            first = last
        for _ in range(_HALVINGS if first < last else 0):
            middle_s = (first + last) / 2
            if self._in_time(queue, late, enough, middle_s):
                first = middle_s
            else:
                last = middle_s
        self._free = queue.free.copy()
        for _ in range(enough):
            heappush(self._free, (first, len(self.born)))
            self.born.append(first)

    def _in_time(self, queue: _Queue, late: int, more: int, ready_s: float) -> bool:
        """Whether the queue is served in time with ``more`` slots ready at ``ready_s``."""
        free = [at for at, _ in queue.free] + [ready_s] * more
        heapify(free)
        far = late + _LOOK_AHEAD * (late - queue.task + _LOOK_AHEAD)
        for task in range(queue.task, min(far, len(self._arrivals))):
            arrived = self._arrivals[task]
            if free[0] + self._cold < arrived or (task > late and free[0] <= arrived):
                # It is all served: whatever comes then is another queue.
                return True
            if free[0] > self._latest(task):
                return False
            heapreplace(free, max(free[0], arrived) + self._runs[task])
        return True


def _sizes(moves: list[tuple[float, int]], slots: int) -> list[tuple[float, int]]:
    sizes: list[tuple[float, int]] = []
    there = 0
    for at, change in sorted(moves):
        there += change
        workers = -(-there // slots)
        if sizes and sizes[-1][0] == at:
            sizes[-1] = (at, workers)
        elif not sizes or sizes[-1][1] != workers:
            sizes.append((at, workers))
    return sizes

"""Workers are taken away as an HPA or KEDA does it, and as Sluiceway does, under the same work.

There a pod is chosen without a look at what it runs, gets SIGTERM, and SIGKILL when the grace
period is over; here it is asked to drain first. On a shared machine tasks and grace are a
sixth of what they are in a cluster by default: tasks of up to 10 s beside a grace of 5 s, for
60 s and 30 s. After each scale-down a new worker comes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from benchmarks.common import Result
from benchmarks.field import PLAIN, Field, Worker, children, fresh_field
from benchmarks.load import Load
from benchmarks.verdict import Verdict
from sluiceway_worker import wire

WORKERS = 3
LONGEST_S = 10.0
GRACE_S = 5.0


def ours(times: int, seed: int) -> Result:
    """Drain, then SIGTERM."""

    def leave(worker: Worker) -> bool:
        worker.drain()
        worker.end()
        return False

    return _run(times, seed, _ours, leave)


def plain(times: int, seed: int) -> Result:
    """Plain Celery with its defaults: acknowledged before it runs, four prefetched a slot."""
    return _run(times, seed, _plain(), lambda worker: worker.end_within(GRACE_S))


def plain_late(times: int, seed: int) -> Result:
    """Plain Celery with late acknowledgement and more grace than its longest task takes."""
    start = _plain(TEST_LATE="1")
    return _run(times, seed, start, lambda worker: worker.end_within(2 * LONGEST_S))


def _run(
    times: int, seed: int, start: Callable[[Field], Worker], leave: Callable[[Worker], bool]
) -> Result:
    chance = random.Random(seed)
    ended: dict[int, float] = {}
    with fresh_field() as field:
        fleet = [start(field) for _ in range(WORKERS)]
        with Load(field, random.Random(seed + 1), LONGEST_S) as load:
            for _ in range(times):
                time.sleep(chance.uniform(1, 3))
                victim = chance.choice(fleet)
                processes = [victim.pid, *children(victim.pid)]
                if leave(victim):
                    # What they held comes back in an hour, so none of it has run again by now.
                    ended |= dict.fromkeys(processes, time.time())
                fleet[fleet.index(victim)] = start(field)
        field.settle(set(load.sent))
        figures = Verdict(set(load.sent), ended).figures(field)
        for worker in fleet:
            worker.kill()
    return figures | {"grace_ran_out": len(set(ended.values()))}


def _ours(field: Field) -> Worker:
    worker = field.start()
    worker.says(wire.CONSUMING)
    return worker


def _plain(**env: str) -> Callable[[Field], Worker]:
    def start(field: Field) -> Worker:
        worker = field.start(PLAIN, **env)
        worker.writes(" ready.")
        return worker

    return start

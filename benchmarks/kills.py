"""Workers of local mode are killed under load, again and again: is a task lost?

Tasks of 5 ms to 5 s in four priorities, some with an ETA, run on three prefork workers.
Every so often SIGKILL hits one of them: a child that runs a task, the main process alone, whose
children work on for a moment, or the whole process group. Or its grace period runs out: SIGTERM,
and a second later SIGKILL, while it runs a task that takes longer. Each start and end is
a row in SQLite. A task may start twice only if a process that was killed had begun it.
Run it as ``python -m benchmarks.kills`` (10 kills) or with ``--full`` (500).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.common import Result, main
from benchmarks.field import APP, APP_FOLDER, Field, children, fresh_field
from benchmarks.load import Load
from benchmarks.verdict import Verdict, spread
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.fleet import LocalWorker, ProcessFleet
from sluiceway.local.mode import LocalMode, Settings
from sluiceway.report.events import Kind

WORKERS = 3
WAYS = ("child", "main", "group")
GRACE = ("grace",)
GRACE_S = 1.0
FLEET = "default/work"


def run(small: bool = True) -> Result:
    """As ``kills``, with the sizes of the command line."""
    figures = kills(10 if small else 500)
    return figures | {name: spread(figures[name]) for name in ("back_s", "listed_s")}


def kills(times: int, seed: int = 1, ways: Sequence[str] = WAYS) -> Result:
    """Kill that many times, in these ways by turns; counts of tasks by what became of them."""
    with fresh_field() as field:
        return asyncio.run(_kills(field, times, seed, ways))


async def _kills(field: Field, times: int, seed: int, ways: Sequence[str]) -> Result:
    chance = random.Random(seed)
    killed: dict[int, float] = {}
    went: Counter[str] = Counter()
    async with local_mode(field) as local:
        fleet = local.fleets[FLEET]
        with Load(field, random.Random(seed + 1)) as load:
            for number in range(times):
                way = ways[number % len(ways)]
                went[way] += 1
                await ready(local)
                await asyncio.sleep(chance.uniform(0.5, 2.0))
                if way == "grace":
                    worker = await _running_long(field, fleet, load)
                    worker.child.send(signal.SIGTERM)
                    await asyncio.wait([worker.child.exited], timeout=GRACE_S)
                    went["grace_ran_out"] += bool(field.running(children(worker.child.pid)))
                    killed |= kill_group(worker)
                else:
                    killed |= await _kill(way, field, fleet, chance)
        await asyncio.to_thread(field.settle, set(load.sent))
        events = local.journal.events
    told = [event.at for event in events if event.kind is Kind.TASKS_CAME_BACK]
    figures = Verdict(set(load.sent), killed).figures(field)
    figures["listed_s"] = sorted(round(at - _last_before(at, killed), 2) for at in told)
    return {"kills": times, **went, "recoveries_told": len(told), **figures}


def _last_before(at: float, killed: Mapping[int, float]) -> float:
    return max(one for one in killed.values() if one <= at)


def local_mode(field: Field, workers: int = WORKERS, slots: int = 2) -> LocalMode:
    """That many workers on that field, whatever there is to do."""
    taskqueue = TaskQueue.from_outside(
        {
            "metadata": {"name": "work"},
            "spec": {
                "broker": {"url": field.url},
                "worker": {
                    "app": APP,
                    "concurrency": slots,
                    "acks": "late",
                    # What three kills in a row may do to a harmless task is not the question.
                    "maxDeliveries": 100,
                },
                "scaling": {"minReplicas": workers, "maxReplicas": workers},
            },
        }
    )
    return LocalMode([taskqueue], Settings(env=field.env, workdir=APP_FOLDER))


async def ready(local: LocalMode, workers: int = WORKERS) -> None:
    """Wait until that many workers consume."""
    await local.journal.until(lambda now: bool(now) and now[FLEET].workers.ready == workers)


def kill_group(worker: LocalWorker) -> dict[int, float]:
    """When each of its processes was ended, Unix seconds."""
    gone = dict.fromkeys([worker.child.pid, *children(worker.child.pid)], time.time())
    worker.child.send_group(signal.SIGKILL)
    return gone


async def _kill(
    way: str, field: Field, fleet: ProcessFleet, chance: random.Random
) -> dict[int, float]:
    worker = chance.choice(fleet.running)
    if way == "group":
        return kill_group(worker)
    if way == "main":
        gone = dict.fromkeys([worker.child.pid, *children(worker.child.pid)], time.time())
        worker.child.send(signal.SIGKILL)  # local mode ends the children
        return gone
    while True:
        processes = [pid for one in fleet.running for pid in children(one.child.pid)]
        busy = [pid for _, pid in field.running(processes).values()]
        if busy:
            pid, at = chance.choice(busy), time.time()
            os.kill(pid, signal.SIGKILL)
            return {pid: at}
        await asyncio.sleep(0.02)


async def _running_long(field: Field, fleet: ProcessFleet, load: Load) -> LocalWorker:
    """A worker that runs a task which will outlast the grace period."""
    while True:
        for worker in fleet.running:
            for task, (since, _) in field.running(children(worker.child.pid)).items():
                if since + load.sent.get(task, 0.0) > time.time() + 2 * GRACE_S:
                    return worker
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    main("workers are killed under load", run)

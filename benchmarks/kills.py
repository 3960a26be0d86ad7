"""Workers of local mode are killed under load, again and again: is a task lost?

Tasks of 5 ms to 2 s in four priorities, some with an ETA, run on three prefork workers.
Every so often one worker gets SIGKILL: its main process alone, whose children work on for a
moment, or its whole process group. Each start and end is a row in SQLite. A task may start
twice only if its earlier start was in a worker that was killed. Run it as ``python -m
benchmarks.kills`` (10 kills) or with ``--full`` (500).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import uuid
from collections import Counter
from contextlib import suppress

from celery import Celery

from benchmarks.common import Result, main
from benchmarks.deaths import HERE, Field, field_of_tests, until
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.mode import LocalMode, Settings
from sluiceway.report.events import Kind

WORKERS = 3
SLOTS = 2
PER_S = 12.0


def run(small: bool = True, seed: int = 1) -> Result:
    """Kill that many workers; counts of tasks by what became of them."""
    with field_of_tests() as field_:
        return asyncio.run(_run(field_, 10 if small else 500, random.Random(seed)))


async def _run(field_: Field, kills: int, chance: random.Random) -> Result:
    taskqueue = TaskQueue.from_outside(
        {
            "metadata": {"name": "work"},
            "spec": {
                "broker": {"url": field_.url},
                "worker": {
                    "app": "deaths_app",
                    "concurrency": SLOTS,
                    "acks": "late",
                    # What three kills in a row may do to a harmless task is not the question.
                    "maxDeliveries": 100,
                },
                "scaling": {"minReplicas": WORKERS, "maxReplicas": WORKERS},
            },
        }
    )
    killed: set[int] = set()
    # The visibility timeout is out of the question.
    env = field_.env | {"DEATHS_VISIBILITY": "3600"}
    async with LocalMode([taskqueue], Settings(env=env, workdir=HERE)) as local:
        fleet = local.fleets["default/work"]
        ends = asyncio.Event()
        publishing = asyncio.create_task(_publish(field_.url, ends, chance))
        for number in range(kills):
            await local.journal.until(
                lambda now: bool(now) and now["default/work"].workers.ready == WORKERS
            )
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            victim = chance.choice(fleet.running).child.pid
            killed.add(victim)
            (os.kill if number % 2 else os.killpg)(victim, signal.SIGKILL)
        ends.set()
        sent = await publishing
        with suppress(TimeoutError):  # what is lost is counted
            await asyncio.to_thread(until, lambda: sent <= field_.finished())
        told = sum(event.kind is Kind.TASKS_CAME_BACK for event in local.journal.events)
    return {"kills": kills, "recoveries_told": told, **_verdict(field_, sent, killed)}


async def _publish(url: str, ends: asyncio.Event, chance: random.Random) -> set[str]:
    sent: set[str] = set()
    with Celery(broker=url, set_as_current=False) as app:
        app.conf.task_ignore_result = True
        app.conf.broker_transport_options = {"priority_steps": [0, 3, 6, 9]}
        while not ends.is_set():
            task = uuid.uuid4().hex
            seconds = chance.choices((0.005, 0.05, 0.5, 2.0), (10, 6, 3, 1))[0]
            later = {"countdown": chance.uniform(1, 8)} if chance.random() < 0.15 else {}
            app.send_task(
                "deaths_app.work",
                (seconds,),
                queue="work",
                task_id=task,
                priority=chance.choice((0, 3, 6, 9)),
                **later,
            )
            sent.add(task)
            await asyncio.sleep(chance.expovariate(PER_S))
    return sent


def _verdict(field_: Field, sent: set[str], killed: set[int]) -> Result:
    starts: dict[str, list[int]] = {}
    for task, _, worker in field_.starts():
        starts.setdefault(task, []).append(worker)
    again = {task: workers for task, workers in starts.items() if len(workers) > 1}
    return {
        "published": len(sent),
        "lost": len(sent - field_.finished()),
        "run_again_after_a_kill": sum(
            all(worker in killed for worker in workers[:-1]) for workers in again.values()
        ),
        "run_twice_unasked": sum(
            any(worker not in killed for worker in workers[:-1]) for workers in again.values()
        ),
        "starts_by_task": {
            str(n): c for n, c in sorted(Counter(map(len, starts.values())).items())
        },
    }


if __name__ == "__main__":
    main("workers are killed under load", run)

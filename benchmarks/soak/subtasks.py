"""A task with an ETA takes the last slot and publishes a subtask; then its worker is killed.

kombu may have asked for a message while the slot was free: then the subtask lies in the dying
worker's socket. It must run elsewhere all the same.
"""

from __future__ import annotations

import asyncio
import random
import uuid

from celery import Celery

from benchmarks.common import Result
from benchmarks.field import APP, Field, children, fresh_field, wait
from benchmarks.kills import FLEET, kill_group, local_mode, ready
from benchmarks.verdict import Verdict

SLOTS = 1
WORKERS = 2


def run(times: int, seed: int) -> Result:
    """Kill that many; ``lost`` counts parents, subtasks and the tasks beside them."""
    with fresh_field() as field:
        return asyncio.run(_run(field, times, random.Random(seed)))


async def _run(field: Field, times: int, chance: random.Random) -> Result:
    killed: dict[int, float] = {}
    sent: set[str] = set()
    subtasks: set[str] = set()
    async with local_mode(field, WORKERS, SLOTS) as local:
        fleet = local.fleets[FLEET]
        for _ in range(times):
            await ready(local, WORKERS)
            parent, child = uuid.uuid4().hex, uuid.uuid4().hex
            with Celery(broker=field.url, set_as_current=False) as app:
                app.send_task(
                    f"{APP}.publish_then_work",
                    (chance.uniform(0.1, 1.0), 5.0, child),
                    task_id=parent,
                    queue="work",
                    countdown=chance.uniform(0.5, 2.0),
                )
            sent |= {parent, child}
            subtasks.add(child)
            await asyncio.to_thread(_published, field, child)
            await asyncio.sleep(chance.uniform(0, 0.3))
            for worker in fleet.running:
                if parent in field.running(children(worker.child.pid)):
                    killed |= kill_group(worker)
            await asyncio.to_thread(field.settle, sent)
    # The parent runs again, as it must, and publishes its subtask again.
    twice = {one for one in subtasks if field.events("published")[one] > 1}
    figures = Verdict(sent, killed, may_run_twice=twice).figures(field)
    return figures | {"subtasks_published_again": len(twice)}


def _published(field: Field, subtask: str) -> None:
    wait(lambda: subtask in field.events("published"), "the subtask is published")

"""Whoever scales is killed for good in the middle of a drain: do all workers work again?

A real ``sluiceway local`` lowers a fleet of three workers; as soon as one drains, it and its
guard get SIGKILL, so that the workers stay behind with nobody to lead them. Measured is how long
it takes until each of them consumes. Meanwhile tasks go on being published.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import yaml
from celery import Celery

from benchmarks.common import Result
from benchmarks.field import (
    APP,
    APP_FOLDER,
    PATIENCE_S,
    Field,
    children,
    command_of,
    fresh_field,
    heartbeats,
    wait,
)
from benchmarks.load import Load
from benchmarks.soak.book import added
from benchmarks.verdict import Verdict
from sluiceway_worker import wire


def run(times: int, seed: int) -> Result:
    """Kill that many operators; ``again_s`` is seconds until all workers consume."""
    again_s: list[float] = []
    total: Result = {}
    for number in range(times):
        with fresh_field() as field:
            total = added(total, _once(field, random.Random(seed + number), again_s))
    return total | {"again_s": again_s}


def _once(field: Field, chance: random.Random, again_s: list[float]) -> Result:
    local = _operator(field)
    workers: list[int] = []
    try:
        sent = _until_one_drains(field, chance)
        started = {pid: command_of(pid) for pid in children(local.pid)}
        workers = [pid for pid, command in started.items() if "sluiceway_worker" in command]
        (guard,) = [pid for pid, command in started.items() if "guard.py" in command]
        with Load(field, chance) as load:
            os.kill(guard, signal.SIGKILL)
            local.kill()
            at = time.monotonic()
            wait(lambda: _all_consume(field, workers), "all workers consume again")
            again_s.append(round(time.monotonic() - at, 2))
            time.sleep(2)  # some of the load is published after that
        sent |= set(load.sent)
        field.settle(sent)
        return Verdict(sent).figures(field)
    finally:
        local.kill()
        local.wait()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait(lambda: not any(command_of(pid) for pid in workers), "the workers end")


def _operator(field: Field) -> subprocess.Popen[bytes]:
    taskqueue = {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "work"},
        "spec": {
            "broker": {"url": field.url},
            "worker": {"app": APP, "concurrency": 2, "acks": "late"},
            "scaling": {
                "minReplicas": 1,
                "maxReplicas": 3,
                "target": {"backlogPerReplica": 2},
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            },
        },
    }
    file = field.folder / "work.yaml"
    file.write_text(yaml.safe_dump(taskqueue), encoding="utf-8")
    command = (sys.executable, "-m", "sluiceway", "local", "--plain", "--file", str(file))
    return subprocess.Popen(
        command,
        cwd=APP_FOLDER,
        env=field.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _until_one_drains(field: Field, chance: random.Random) -> set[str]:
    """Publish what asks for three workers and later for two, until one is told to go at work."""
    sent: set[str] = set()
    deadline = time.monotonic() + PATIENCE_S
    with Celery(broker=field.url, set_as_current=False) as app:
        app.conf.task_ignore_result = True
        while time.monotonic() < deadline:
            for seconds in [chance.uniform(0.5, 2)] * 3 + [5.0] * 4:
                result = app.send_task(f"{APP}.work", (seconds,), queue="work")
                sent.add(result.id)
            while not sent <= set(field.events("finished")):
                if wire.DRAINING in _states(field).values():
                    return sent
                time.sleep(0.02)
    raise RuntimeError("never came: a worker that drains at work")


def _all_consume(field: Field, workers: list[int]) -> bool:
    states = _states(field)
    living = [pid for pid in workers if command_of(pid)]
    return len(states) >= len(living) and set(states.values()) == {wire.CONSUMING}


def _states(field: Field) -> dict[str, str]:
    """What each worker says that is heard, by incarnation."""
    return {one: beat.state for one, beat in heartbeats(field.redis).items()}

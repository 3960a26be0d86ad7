"""Workers of local mode that die: what they held runs elsewhere, and nothing else runs twice.

The visibility timeout is an hour: what comes back within a test, comes back on a proof.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sluiceway.report.events import Kind
from sluiceway_worker import wire

FLEET = "default/work"


def kill_main(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_all(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_main, kill_all], ids=["main process", "whole group"])
async def test_what_a_killed_worker_ran_runs_elsewhere_and_nothing_else_twice(
    kill: Any,
    redis_server: Any,
    start_local: Any,
    taskqueue: Any,
    counted: Any,
    until: Any,
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    url = redis_server.url
    work = taskqueue(
        "work",
        broker={"url": url},
        worker={"acks": "late", "concurrency": 2},
        scaling={"minReplicas": 2, "maxReplicas": 2},
    )
    local = await start_local(work)
    running = [counted.publish(url, "wait_for", str(gate), queue="work") for _ in range(4)]
    await until(lambda: set(counted.times("started")) == set(running))
    waiting = [
        counted.publish(url, "nap", 0.05, queue="work", priority=priority)
        for priority in (0, 3, 6, 9) * 3
    ]
    later = counted.publish(url, "nap", 0.05, queue="work", countdown=3)

    client = redis_server.client()
    victim = local.fleets[FLEET].running[0]
    held = _held(client, victim.name)
    kill(victim.child.pid)

    # The gate is still closed: only another worker can have started them.
    await until(lambda: sum(counted.times("started")[task] == 2 for task in running) == 2)
    gate.touch()
    everything = {*running, *waiting, later}
    await until(lambda: set(counted.times("finished")) == everything)
    await until(lambda: client.hlen("unacked") == 0)
    twice = {task for task, count in counted.times("started").items() if count > 1}
    assert len(twice) == 2
    assert twice < set(running)
    assert len(held) >= 2
    assert set(counted.times("finished").values()) == {1}
    assert _held(client, victim.name) == {}
    (told,) = [one for one in local.journal.events if one.kind is Kind.TASKS_CAME_BACK]
    assert f"worker {victim.name} is dead (SIGKILL)" in told.sentence
    assert "2 × counted_app.wait_for" in told.sentence


def _held(client: Any, worker: str) -> dict[bytes, bytes]:
    keys = client.keys(f"{wire.held_key('', worker)}:*")
    return {tag: how for key in keys for tag, how in client.hgetall(key).items()}

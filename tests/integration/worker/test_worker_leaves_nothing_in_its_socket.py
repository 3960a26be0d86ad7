"""A message that a full worker's BRPOP brings must not lie in its socket.

An ETA task takes the last slot while a BRPOP waits in the server; what is published in
the next second is popped by it. kombu lets that reply lie until a slot is free: in
neither the list nor ``unacked``, for as long as the task runs. A worker that takes by script
never has anything in its socket; what it is to leave behind is the same.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from sluiceway_worker import wire

KOMBUS = {"SLUICEWAY_TAKE": "kombu"}
WAYS = [
    *(pytest.param(pool, KOMBUS, id=pool) for pool in ("prefork", "threads", "gevent", "solo")),
    pytest.param("prefork", {}, id="prefork-by-script"),
    pytest.param("gevent", {}, id="gevent-by-script"),
]


def start_eta_task_that_publishes(queue: Any, records: Any, runs_s: float, **child: Any) -> None:
    """``parent`` takes a worker's only slot, publishes ``child`` and works on."""
    queue.send(
        "publish_then_work",
        0.2,
        runs_s,
        "child",
        countdown=1.5,
        task_id="parent",
        kwargs=child,
    )
    records.wait_for("published", "child")


@pytest.mark.parametrize(("pool", "way"), WAYS)
def test_a_drained_full_worker_gives_it_back_while_its_task_still_runs(
    pool: str, way: Any, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", "-P", pool, **way)
    start_eta_task_that_publishes(queue, records, runs_s=6)
    worker.ask_to_drain()
    worker.says(state=wire.DRAINING, active=1)
    wait_for(lambda: queue.length() == 1, "the child in its list")
    assert not records.of("finished")
    assert json.loads(queue.waiting()[0])["headers"]["id"] == "child"
    worker.says(state=wire.DRAINED)
    worker.recall()
    records.wait_for("finished", "parent", "child")
    wait_for(queue.empty, "nothing held any more")
    assert set(records.of("started").values()) == {1}


@pytest.mark.parametrize(("pool", "way"), WAYS)
def test_a_full_worker_that_is_killed_takes_no_other_message_with_it(
    pool: str, way: Any, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", "-P", pool, **way)
    start_eta_task_that_publishes(queue, records, runs_s=60)
    wait_for(lambda: queue.length() == 1, "the child in its list")
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.ends()
    assert queue.length() == 1
    start_worker("-c", "1")
    records.wait_for("finished", "child")


def test_it_goes_back_to_the_list_of_its_own_priority(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", **KOMBUS)
    start_eta_task_that_publishes(queue, records, runs_s=5, priority=6)
    worker.ask_to_drain()
    wait_for(lambda: queue.length() == 1, "the child in its list")
    assert json.loads(queue.waiting(6)[0])["headers"]["id"] == "child"
    worker.says(state=wire.DRAINED)

"""A retry, and the next link of a chain, stand for a message that is acknowledged. Where the
broker refuses them, Celery acknowledges all the same; here none is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import pytest

# Before 5.7 Celery gives no hold on what it publishes for a task that has succeeded.
KINDS = ["a retry", "a link"] if celery.VERSION[:2] >= (5, 7) else ["a retry"]
NEXT = celery.signature("recording_app.work", immutable=True, task_id="next")


class Behind:
    """A task that waits for a gate; behind it something is to be published in its place."""

    def __init__(self, kind: str, gate: Path, queue: Any, records: Any, wait_for: Any) -> None:
        self._gate, self._records, self._wait_for, self._queue = gate, records, wait_for, queue
        self._retries = kind == "a retry"
        link = None if self._retries else NEXT
        task = "retry_behind" if self._retries else "end_behind"
        self.task = queue.send(task, str(gate), **({"link": link} if link else {}))
        records.wait_for("started", self.task)

    def open(self) -> None:
        self._gate.touch()

    def goes_on(self) -> None:
        """What stands for it runs, once, and nothing is left."""
        self._records.wait_for("finished", self.task if self._retries else "next")
        self._wait_for(self._queue.empty, "all acknowledged")
        started = {self.task: 2} if self._retries else {self.task: 1, "next": 1}
        assert self._records.of("started") == started


@pytest.fixture
def behind(queue: Any, records: Any, wait_for: Any, tmp_path: Path) -> Callable[[str], Behind]:
    return lambda kind: Behind(kind, tmp_path / "gate", queue, records, wait_for)


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
@pytest.mark.parametrize("kind", KINDS)
def test_while_the_brokers_memory_is_full_the_work_goes_on(
    kind: str, pool: str, start_worker: Any, redis_server: Any, behind: Callable[[str], Behind]
) -> None:
    start_worker("-c", "1", "-P", pool)
    trial = behind(kind)
    redis_server.client().config_set("maxmemory", 1)
    trial.open()
    trial.goes_on()


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_broker_refuses_for_a_while_is_published_when_it_takes_it(
    kind: str,
    pool: str,
    start_worker: Any,
    redis_server: Any,
    behind: Callable[[str], Behind],
    wait_for: Any,
) -> None:
    worker = start_worker("-c", "1", "-P", pool)
    trial = behind(kind)
    client = redis_server.client()
    client.config_set("min-replicas-to-write", 1)
    trial.open()
    wait_for(lambda: "Not published yet" in worker.log.read_text(), "it is refused")
    client.config_set("min-replicas-to-write", 0)
    trial.goes_on()


@pytest.mark.parametrize("refuses", ["maxmemory", "min-replicas-to-write"])
def test_what_a_task_publishes_by_itself_is_refused_as_ever(
    refuses: str, queue: Any, start_worker: Any, records: Any, redis_server: Any, tmp_path: Path
) -> None:
    start_worker("-c", "1")
    gate = tmp_path / "gate"
    task = queue.send("publish_behind", str(gate))
    records.wait_for("started", task)
    redis_server.client().config_set(refuses, 1)
    gate.touch()
    records.wait_for("refused", task)

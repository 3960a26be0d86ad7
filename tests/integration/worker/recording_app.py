"""The Celery application of these tests: its tasks write down what happened to them.

Workers import it as ``-A recording_app`` with this folder as their working directory.
Outcomes are counted in an SQLite file, not in logs: one row each time a run begins,
one each time it ends.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

app = Celery("recording_app")
app.conf.update(
    broker_transport_options={
        "global_keyprefix": os.environ.get("TEST_KEY_PREFIX", ""),
        "priority_steps": [0, 3, 6, 9],
        "visibility_timeout": float(os.environ.get("TEST_VISIBILITY_S", "3600")),
        "ack_emulation": not os.environ.get("TEST_NO_ACKS"),
    },
    task_ignore_result=True,
    result_backend=os.environ.get("TEST_RESULTS"),
    task_default_queue="work",
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=bool(os.environ.get("TEST_CANCEL")),
    **({"task_acks_late": False} if os.environ.get("TEST_EARLY") else {}),
    **({"task_acks_late": True} if os.environ.get("TEST_LATE") else {}),
)


if os.environ.get("TEST_BREAK_AGENT") == "giving back":
    from sluiceway_worker.giveback import GiveBack

    sends = GiveBack.send

    def broken_once(self: GiveBack) -> int:
        if self:
            GiveBack.send = sends  # type: ignore[method-assign]
            raise ZeroDivisionError("as the test wants it")
        return sends(self)

    GiveBack.send = broken_once  # type: ignore[method-assign]
elif os.environ.get("TEST_BREAK_AGENT"):
    from sluiceway_worker.drain import Drain

    def broken(self: Drain) -> None:
        raise ZeroDivisionError("as the test wants it")

    Drain.tick = broken  # type: ignore[method-assign]


def record(event: str, task_id: str) -> None:
    """One row, written before the task goes on; it outlives the process, not the machine."""
    with closing(sqlite3.connect(os.environ["TEST_RECORDS"], timeout=60)) as db:
        db.execute("PRAGMA synchronous=OFF")
        row = (event, task_id, time.time(), os.getpid())
        db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
        db.commit()


def wait_for(gate: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.02)


@app.task(bind=True)
def work(self: Any, seconds: float = 0.0) -> None:
    record("started", self.request.id)
    time.sleep(seconds)
    record("finished", self.request.id)


@app.task(bind=True, ignore_result=False)
def work_with_result(self: Any) -> str:
    record("started", self.request.id)
    record("finished", self.request.id)
    return "done"


@app.task(bind=True)
def publish_then_work(
    self: Any, delay: float, seconds: float, child_id: str, **options: Any
) -> None:
    """Publish a child after ``delay`` seconds, and go on working."""
    record("started", self.request.id)
    time.sleep(delay)
    work.apply_async(kwargs={"seconds": 0}, task_id=child_id, **options)
    record("published", child_id)
    time.sleep(seconds)
    record("finished", self.request.id)


@app.task(bind=True)
def fail(self: Any) -> None:
    record("started", self.request.id)
    raise ValueError("as told")


@app.task(bind=True, max_retries=1)
def retry_once(self: Any) -> None:
    record("started", self.request.id)
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    record("finished", self.request.id)


@app.task(bind=True, max_retries=1)
def retry_behind(self: Any, gate: str) -> None:
    """Retry once a file of that name exists."""
    record("started", self.request.id)
    if self.request.retries == 0:
        wait_for(gate)
        raise self.retry(countdown=0)
    record("finished", self.request.id)


@app.task(bind=True)
def end_behind(self: Any, gate: str) -> None:
    """End once a file of that name exists."""
    record("started", self.request.id)
    wait_for(gate)
    record("finished", self.request.id)


@app.task(bind=True)
def publish_behind(self: Any, gate: str) -> None:
    """Publish once a file of that name exists; ``refused`` where it is not taken."""
    record("started", self.request.id)
    wait_for(gate)
    try:
        work.delay()
    except OperationalError:
        record("refused", self.request.id)


@app.task(bind=True)
def die_once(self: Any) -> None:
    """The first run ends its process, as the kernel does when memory is short."""
    record("started", self.request.id)
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    record("finished", self.request.id)


@app.task(bind=True)
def die(self: Any) -> None:
    """End the process that runs this, as the kernel does for want of memory."""
    record("started", self.request.id)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def raise_it(self: Any, name: str) -> None:
    """Raise what Celery does not take for a failure of the task alone."""
    record("started", self.request.id)
    raise {"MemoryError": MemoryError, "SystemExit": SystemExit}[name](1)


@app.task(bind=True, rate_limit="1/m")
def rare(self: Any) -> None:
    record("started", self.request.id)
    record("finished", self.request.id)


@app.task
def nothing() -> None:
    """As little as a task can do."""

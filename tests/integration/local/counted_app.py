"""The application of these tests: every start and end of a task is a row in a database."""

from __future__ import annotations

import faulthandler
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

from celery import Celery

if other := os.environ.get("COUNTED_OTHER_BROKER"):
    # An application that knows better than its environment where its broker is.
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        os.environ[name] = other

# A test that hangs asks for the stacks of all threads; Celery has SIGUSR1 for itself.
faulthandler.register(signal.SIGUSR2)

app = Celery("counted_app")


def note(task_id: str, event: str) -> None:
    with sqlite3.connect(os.environ["COUNTED_DB"], timeout=30) as db:
        db.execute("INSERT INTO runs VALUES (?, ?, ?)", (task_id, event, time.time()))


@app.task(bind=True, ignore_result=True)
def nap(self: Any, seconds: float) -> None:
    """Run for a while."""
    note(self.request.id, "started")
    time.sleep(seconds)
    note(self.request.id, "finished")


@app.task(bind=True, ignore_result=True)
def wait_for(self: Any, gate: str) -> None:
    """Run until a file of that name exists."""
    note(self.request.id, "started")
    while not Path(gate).exists():
        time.sleep(0.02)
    note(self.request.id, "finished")


@app.task(bind=True, ignore_result=True)
def stop_at_a_breakpoint(self: Any, number: int) -> None:
    """Run until somebody types «continue»."""
    note(self.request.id, "started")
    breakpoint()
    note(self.request.id, "finished")

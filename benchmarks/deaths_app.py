"""The application of benchmarks.deaths: each start and end is a row in a database."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from celery import Celery

app = Celery("deaths_app")
app.conf.update(
    task_ignore_result=True,
    task_default_queue="work",
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("DEATHS_VISIBILITY", 30)),
        "priority_steps": [0, 3, 6, 9],
    },
    # What sluiceway-worker sets where the application leaves it; the plain side has it, too.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
)


@app.task(bind=True)  # type: ignore[untyped-decorator]
def wait_for(self: Any, gate: str) -> None:
    """Run until a file of that name exists."""
    _note(self.request.id, "started")
    while not Path(gate).exists():
        time.sleep(0.01)
    _note(self.request.id, "finished")


def _note(task_id: str, event: str) -> None:
    with closing(sqlite3.connect(os.environ["DEATHS_DB"], timeout=60)) as db:
        row = (task_id, event, time.time(), os.getppid())
        db.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", row)
        db.commit()

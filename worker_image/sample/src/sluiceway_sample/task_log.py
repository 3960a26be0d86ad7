"""What became of every task: published, started and finished, as rows in the database.

Celery calls these hooks in whichever process the thing happens, the web's or a
worker's. A log that is a table can be asked: which tasks were published and
never finished, which were started twice.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from celery.signals import after_task_publish, task_postrun, task_prerun

from sluiceway_sample.database import connect
from sluiceway_worker.wire import STAMP_HEADER


@after_task_publish.connect
def published(sender: str, headers: dict[str, Any], routing_key: str, **_: Any) -> None:
    """Only after the broker has it: what was never published cannot be lost."""
    now = headers.get(STAMP_HEADER, time.time())
    eta = headers.get("eta")
    _write(
        task_id=headers["id"],
        attempt=headers["retries"],
        task=sender,
        queue=routing_key,
        event="published",
        at=now,
        due=datetime.fromisoformat(eta).timestamp() if eta else now,
    )


@task_prerun.connect
def started(task: Any, **_: Any) -> None:
    """In the worker's own process, just before the task's first line."""
    _write(**_run(task), event="started")


@task_postrun.connect
def finished(task: Any, state: str, **_: Any) -> None:
    """However it ended; a RETRY is followed by the next attempt's «published»."""
    _write(**_run(task), event="finished", outcome=state)


def _run(task: Any) -> dict[str, Any]:
    request = task.request
    return {
        "task_id": request.id,
        "attempt": request.retries,
        "task": task.name,
        "queue": (request.delivery_info or {}).get("routing_key") or "",
        "worker": request.hostname,
        "at": time.time(),
    }


def _write(**row: Any) -> None:
    columns = ", ".join(row)
    values = ", ".join(f":{column}" for column in row)
    with connect() as db:
        db.execute(f"INSERT INTO task_runs ({columns}) VALUES ({values})", row)

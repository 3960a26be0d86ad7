"""The smallest Celery application, with the settings that both sides of a comparison share."""

from __future__ import annotations

import time
from pathlib import Path

from celery import Celery

app = Celery("noop_app")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    broker_connection_retry_on_startup=True,
)


@app.task  # type: ignore[untyped-decorator]  # Celery publishes no types.
def noop() -> None:
    """Nothing at all: what is measured is everything around it."""


@app.task  # type: ignore[untyped-decorator]
def note(published: float, lasts_s: float, file: str) -> None:
    """Write when it was published, began and ended: seconds of the machine's one clock."""
    began = time.monotonic()
    time.sleep(lasts_s)
    with Path(file).open("a", encoding="ascii") as lines:
        lines.write(f"{published} {began} {time.monotonic()}\n")

"""The application of the honesty comparison: it sleeps, and notes when it began."""

from __future__ import annotations

import os
import time

import redis
from celery import Celery

app = Celery("honesty_app")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
)

STARTS = "honesty:starts"


@app.task  # type: ignore[untyped-decorator]  # Celery publishes no types.
def nap(number: int, seconds: float) -> None:
    """Task ``number`` of the trace."""
    began = time.time()
    time.sleep(seconds)
    with redis.Redis.from_url(os.environ["CELERY_BROKER_URL"]) as client:
        client.rpush(STARTS, f"{number} {began} {time.time()}")

"""An application as a user has it: plain Celery, which knows nothing of Sluiceway.

It leaves what it saw in Redis, under keys that a test names.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from typing import Any

import redis
from celery import Celery

app = Celery("launched_app")
app.conf.task_default_queue = "work"
app.conf.task_ignore_result = True


def leave(key: str, value: Any) -> None:
    with redis.Redis.from_url(os.environ["CELERY_BROKER_URL"]) as client:
        client.rpush(key, json.dumps(value))


@app.task
def look(key: str) -> None:
    """What a task sees of its interpreter."""
    loaded = sys.modules.get("sluiceway_worker")
    leave(
        key,
        {
            "path": sys.path,
            "environment": dict(os.environ),
            "agent": loaded.__file__ if loaded is not None else None,
        },
    )


@app.task
def hold(key: str, size: int) -> None:
    """Compute without ever letting go of the interpreter, for seconds."""
    leave(key, "began")
    re.match(r"(a+)+$", "a" * size + "b")
    leave(key, "ended")


def hang(*_: Any) -> None:
    """The main thread does nothing for a while, wherever it was."""
    time.sleep(6)


signal.signal(signal.SIGUSR2, hang)

"""The Celery application of the metrics' test: a task for each way in which a run ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import Reject

app = Celery("measured_app")
app.conf.task_ignore_result = True


@app.task
def succeed() -> None:
    """Do nothing."""


@app.task
def fail() -> None:
    """Fail as tasks do."""
    raise KeyError("as told")


@app.task
def reject() -> None:
    """Be rejected."""
    raise Reject("as told", requeue=False)


@app.task(bind=True, max_retries=1)
def retry(self: Any) -> None:
    """Succeed the second time."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task
def hold(gate: str) -> None:
    """Run until a file of that name exists."""
    while not Path(gate).exists():
        time.sleep(0.05)

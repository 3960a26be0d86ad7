"""A user's plain Celery application, whose tasks count their own runs.

Each run leaves a row when it begins and one when it ends, in a server that no test
stops: what is lost, cut or run twice is asked of these rows, by task id.
"""

import json
import os
import time

import redis
from celery import Celery

app = Celery("counted")
app.conf.task_ignore_result = True

ledger = redis.Redis.from_url("redis://ledger:6379/0", retry_on_timeout=True)

START = time.time()
"""Tells one start of a container from the next in the same pod; a pool's processes share it."""


@app.task(bind=True)
def work(self, seconds):
    """Take so long."""
    _note(self.request.id, "began")
    time.sleep(seconds)
    _note(self.request.id, "ended")


@app.task(bind=True)
def held(self):
    """Take until the test lets all such tasks end."""
    _note(self.request.id, "began")
    while not ledger.exists("released"):
        time.sleep(0.05)
    _note(self.request.id, "ended")


@app.task(bind=True)
def hoard(self, megabytes):
    """Need so much memory at once."""
    _note(self.request.id, "began")
    kept = [bytearray(1 << 20) for _ in range(megabytes)]
    _note(self.request.id, "ended")
    return len(kept)


def _note(task_id, event):
    row = [task_id, event, time.time(), os.environ.get("HOSTNAME"), START]
    ledger.rpush("runs", json.dumps(row))

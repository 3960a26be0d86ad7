"""A user's application of the usual shape: a light web, slow tasks, and one that Beat sends.

Each run leaves a row when it begins and one when it ends, beside the broker's messages:
what is lost, cut or run twice is asked of these rows, by task id.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis
from celery import Celery
from celery.result import AsyncResult
from celery.signals import before_task_publish
from redbeat import RedBeatSchedulerEntry

PERIOD_S = 20.0
BROKER = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")

app = Celery("storefront", broker=BROKER, backend=os.environ.get("CELERY_RESULT_BACKEND", BROKER))
app.conf.task_acks_late = True
app.conf.task_default_queue = "orders"
app.conf.result_expires = 3600
# The web has a thread for each request, and one set of connections for all of them.
app.conf.result_backend_thread_safe = True
app.conf.beat_schedule = {"tick": {"task": "storefront.tick", "schedule": PERIOD_S}}
# Beat looks often, and whoever follows it never waits long for its lock.
app.conf.beat_max_loop_interval = 1
app.conf.redbeat_lock_timeout = 20

ledger = redis.Redis.from_url(BROKER.rpartition("/")[0] + "/1")


@app.task(bind=True)
def order(self, seconds):
    """Take so long, or until the test lets go where that is negative; say who did it."""
    _note(self.request.id, "began")
    while seconds < 0 and not ledger.exists("released"):
        time.sleep(0.05)
    time.sleep(max(0.0, seconds))
    _note(self.request.id, "ended")
    return os.environ.get("HOSTNAME")


@app.task(ignore_result=True)
def tick():
    """Beat's; when it was due is what counts, and that is noted where it is sent."""


@before_task_publish.connect
def _note_what_beat_sends(sender=None, **_):
    if sender == "storefront.tick":
        # Not the time of now: how long the sending takes is the machine's matter.
        books = RedBeatSchedulerEntry.load_meta("redbeat:tick", app=app)
        row = [books["last_run_at"].timestamp(), books["total_run_count"], os.environ["POD_UID"]]
        ledger.rpush("ticks", json.dumps(row))


def _note(task_id, event):
    ledger.rpush("runs", json.dumps([task_id, event, os.environ.get("HOSTNAME")]))


class Web(BaseHTTPRequestHandler):
    """POST /orders publishes one; GET /orders/<id> says how it stands."""

    def do_POST(self):
        sent = order.delay(float(self.headers.get("Seconds", "0.5")))
        self._answer(202, {"id": sent.id})

    def do_GET(self):
        if self.path == "/":
            return self._answer(200, {"ok": True})
        found = AsyncResult(self.path.rpartition("/")[2], app=app)
        return self._answer(200, {"state": found.state, "by": found.result})

    def log_message(self, *_):
        """No line for each request."""

    def _answer(self, status, body):
        text = json.dumps(body, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    # The first process of a container hears no SIGTERM that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer.request_queue_size = 64
    ThreadingHTTPServer(("", 8000), Web).serve_forever()

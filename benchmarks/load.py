"""The work of whatever is drained or ended under work."""

from __future__ import annotations

import random
import threading
import uuid

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from benchmarks.field import APP, Field

PRIORITIES = (0, 3, 6, 9)


class Load:
    """Publishes about 25 tasks a second, as long as the queue stays short.

    Tasks run 5 ms to ``longest_s``, in four priorities; every seventh has an ETA.
    """

    def __init__(self, field_: Field, chance: random.Random, longest_s: float = 5.0) -> None:
        self.sent: dict[str, float] = {}
        """How many seconds it runs, by task id, for all that the broker has confirmed."""
        self.unconfirmed: set[str] = set()
        """Those whose publishing failed: nobody knows whether they were published."""
        self._field = field_
        self._chance = chance
        self._longest_s = longest_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._app = Celery(broker=field_.kombu_url, set_as_current=False)
        self._app.conf.task_ignore_result = True
        self._app.conf.broker_transport_options = {
            **field_.options,
            "priority_steps": list(PRIORITIES),
        }

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._app.close()

    def _publish(self) -> None:
        while not self._stopped.wait(0.04):
            task_id = uuid.uuid4().hex
            try:
                if self._field.queued() > 100:
                    continue
                seconds = self._seconds()
                self._send(task_id, seconds)
            except (OperationalError, redis.RedisError):
                self.unconfirmed.add(task_id)
            else:
                self.sent[task_id] = seconds

    def _seconds(self) -> float:
        kind = self._chance.random()
        if kind < 0.9:
            return self._chance.uniform(0.005, 0.05)
        if kind < 0.97:
            return self._chance.uniform(0.05, 1)
        return self._chance.uniform(1, self._longest_s)

    def _send(self, task_id: str, seconds: float) -> None:
        later = self._chance.random() < 0.15
        self._app.send_task(
            f"{APP}.work",
            (seconds,),
            task_id=task_id,
            queue="work",
            priority=self._chance.choice(PRIORITIES),
            countdown=self._chance.uniform(0.2, 5) if later else None,
            # Whoever tries again after a lost answer publishes twice.
            retry=False,
        )

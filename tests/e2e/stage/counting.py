"""What became of each task, counted by its id in a server that no test stops."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import redis
from celery import Celery

from stage.servers import Server

RUNS = "runs"
POISON_MEGABYTES = 1000
"""More than any worker of the scenes may have."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Task ids; each is empty where all went well."""

    lost: list[str] = field(default_factory=list)
    """Published, and never run to the end."""
    twice: list[str] = field(default_factory=list)
    """Begun more than once."""
    cut: list[str] = field(default_factory=list)
    """Begun more often than ended."""


CLEAN = Tally()


class Tasks:
    """Publishes the counted task to a broker, and asks the ledger what became of them."""

    def __init__(self, broker: Server, ledger: Server) -> None:
        self._broker = broker
        self._ledger = ledger
        self.published: list[str] = []
        """The ids of all that the broker has taken and that can end."""
        self.poison: list[str] = []
        """The ids of those that end whoever runs them."""

    def publish(self, queue: str, count: int, *, seconds: float) -> None:
        """Publish so many tasks that take so long, each as an application does it."""
        self.published += self._send(queue, count, "counted.work", seconds)

    def hold(self, queue: str, count: int) -> None:
        """Publish so many tasks that run until ``release``."""
        self.published += self._send(queue, count, "counted.held")

    def publish_poison(self, queue: str) -> str:
        """Publish a task that needs more memory than any worker may have; its id."""
        (sent,) = self._send(queue, 1, "counted.hoard", POISON_MEGABYTES)
        self.poison.append(sent)
        return sent

    def release(self) -> None:
        """Let those that are held end."""
        self._ledger.client.set("released", 1)

    def _send(self, queue: str, count: int, task: str, *arguments: float) -> list[str]:
        port = self._broker.client.connection_pool.connection_kwargs["port"]
        with Celery(broker=f"redis://127.0.0.1:{port}/0") as app:
            app.conf.task_ignore_result = True
            return [app.send_task(task, arguments, queue=queue).id for _ in range(count)]

    def push(self, queue: str, count: int, *, seconds: float) -> float:
        """Put so many into the queue by one LPUSH: they are there at one moment.

        Returns:
            That moment, on the monotonic clock.
        """
        staging = f"staged-{uuid.uuid4().hex}"
        self.publish(staging, count, seconds=seconds)
        messages = self._broker.client.lrange(staging, 0, -1)
        self._broker.client.delete(staging)
        assert len(messages) == count
        at = time.monotonic()
        self._broker.client.lpush(queue, *messages)
        return at

    def ended(self) -> int:
        """How many have run to their end at least once."""
        return len(self._by_event("ended"))

    def begun(self) -> int:
        """How many have begun."""
        return len(self._by_event("began"))

    def done(self) -> bool:
        """Whether all that was published has ended."""
        return self.ended() >= len(self.published)

    def tally(self) -> Tally:
        """What went wrong."""
        began, ended = self._by_event("began"), self._by_event("ended")
        return Tally(
            lost=[one for one in self.published if not ended[one]],
            twice=[one for one in self.published if began[one] > 1],
            cut=[one for one in self.published if began[one] > ended[one]],
        )

    def workers(self) -> set[str]:
        """The pods that have run a task."""
        return {row[3] for row in self.rows()}

    def _by_event(self, event: str) -> Counter[str]:
        return Counter(row[0] for row in self.rows() if row[1] == event)

    def rows(self) -> Iterable[list[str]]:
        """(task, ``began`` or ``ended``, Unix seconds, pod, start of its container) of each, as
        they came."""
        client: redis.Redis = self._ledger.client
        return [json.loads(row) for row in client.lrange(RUNS, 0, -1)]

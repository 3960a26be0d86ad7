"""What an incarnation holds, written into a real server by hand: the worker may be dead."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from sluiceway_worker import wire
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, Recovered, recover, recovery

FLEET = "shop/work"


class Shop:
    """An application's queue, and takes of its messages in whoever's name."""

    def __init__(self, url: str, prefix: str) -> None:
        self.redis = redis.Redis.from_url(url)
        self.prefix = prefix
        self.app = Celery(broker=url, set_as_current=False)
        self.app.conf.broker_transport_options = {
            "global_keyprefix": prefix,
            "priority_steps": list(wire.PRIORITY_STEPS),
        }
        self.app.conf.task_default_queue = "work"
        self.app.conf.task_ignore_result = True
        self._takes = 0

    def send(self, **options: Any) -> str:
        task_id = options.pop("task_id", None) or uuid.uuid4().hex
        self.app.send_task("shop.work", args=("secret",), task_id=task_id, **options)
        return str(task_id)

    def list_of(self, priority: int = 0) -> str:
        return wire.queue_keys("", "work")[wire.PRIORITY_STEPS.index(priority)]

    def waiting(self, priority: int = 0) -> list[bytes]:
        """The raw messages of one list, the next one to be taken first."""
        found = self.redis.lrange(f"{self.prefix}{self.list_of(priority)}", 0, -1)
        return list(reversed(found))

    def ids(self, priority: int = 0) -> list[str]:
        return [json.loads(raw)["headers"]["id"] for raw in self.waiting(priority)]

    def take(self, incarnation: str, priority: int = 0, fleet: str = FLEET) -> str:
        """What a worker's atomic take leaves in the broker; the new tag."""
        source = self.list_of(priority)
        raw = self.redis.rpop(f"{self.prefix}{source}")
        assert raw is not None
        return self.hold(incarnation, raw, source, fleet)

    def hold(self, incarnation: str, raw: bytes, source: str, fleet: str = FLEET) -> str:
        self._takes += 1
        tag, tail = f"{incarnation}:{self._takes:012}", b', "", "work"]'
        held = wire.held_key(self.prefix, incarnation)
        self.redis.hset(f"{self.prefix}unacked", tag, b"[" + raw + tail)
        self.redis.zadd(f"{self.prefix}unacked_index", {tag: time.time()})
        self.redis.hset(held, tag, f"{len(tail)}:{source}")
        holder = wire.Holder(fleet, "boot:1", time.time())
        self.redis.hset(wire.holders_key(self.prefix), incarnation, holder.to_text())
        return tag

    def beat(self, incarnation: str) -> None:
        self.redis.set(wire.heartbeat_key(self.prefix, incarnation), "{}", px=60_000)

    def steps(
        self,
        incarnation: str = "w:1",
        *,
        max_deliveries: int = 3,
        only: Any = None,
        **how: Any,
    ) -> Any:
        told = {"at": time.time(), "reason": "exit code 1", "blamed": True, **how}
        death = Death(incarnation=incarnation, **told)
        place = Place(prefix=self.prefix)
        return recovery(place, death, fleet=FLEET, max_deliveries=max_deliveries, only=only)

    def recover(self, incarnation: str = "w:1", **how: Any) -> Recovered:
        return recover(self.redis, self.steps(incarnation, **how))

    def drive(
        self, steps: Any, batch: list[Any], meanwhile: Callable[[], Any] | None = None
    ) -> Recovered:
        """Carry a recovery on to its end; ``meanwhile`` happens just before its script moves."""
        while True:
            if meanwhile is not None and any("RPUSH" in str(command) for command in batch):
                meanwhile()
                meanwhile = None
            try:
                batch = steps.send([self.redis.execute_command(*command) for command in batch])
            except StopIteration as end:
                return end.value

    def holders(self) -> set[str]:
        return {name.decode() for name in self.redis.hkeys(wire.holders_key(self.prefix))}

    def held(self, incarnation: str = "w:1") -> int:
        return int(self.redis.hlen(wire.held_key(self.prefix, incarnation)))

    def unacked(self) -> int:
        values = self.redis.hlen(f"{self.prefix}unacked")
        assert values == self.redis.zcard(f"{self.prefix}unacked_index")
        return int(values)

    def taken(self) -> list[str]:
        """The ids of what somebody holds."""
        found = self.redis.hvals(f"{self.prefix}unacked")
        return [json.loads(raw)[0]["headers"]["id"] for raw in found]

    def letters(self) -> list[wire.Letter]:
        found = self.redis.hvals(wire.dead_key(self.prefix, FLEET))
        return [wire.Letter.from_bytes(raw) for raw in found]


@pytest.fixture(params=["", "app:"], ids=["no prefix", "prefix"])
def shop(request: Any, redis_server: Any) -> Iterator[Shop]:
    shop = Shop(redis_server.url, request.param)
    yield shop
    shop.app.close()
    shop.redis.close()

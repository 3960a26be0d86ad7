"""Consumers in this process, which take by script or as kombu does, when they are told to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Queue
from kombu.transport.redis import Transport as KombusTransport

from sluiceway_worker import wire
from sluiceway_worker.identity import Identity
from sluiceway_worker.taking import Taking
from sluiceway_worker.transport import transport_for

SHOP = Exchange("shop", "topic")


class Hand:
    """One connection with one consumer that takes at most ``slots`` messages.

    What it has is in ``messages``, in the order of delivery.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *queues: str,
        slots: int = 1,
        by_script: bool = True,
        finished: Any = None,
        **options: Any,
    ) -> None:
        self.identity = Identity("shop/work", name, f"{name}:{uuid.uuid4().hex[:8]}", 0.0, "life")
        self.sure = True
        self.slots = slots
        self.messages: list[Any] = []
        self._url = url
        self._queues = [Queue(queue, Exchange(""), queue) for queue in queues or ("work",)]
        self._by_script = by_script
        self._finished = finished
        self._options = {"priority_steps": list(wire.PRIORITY_STEPS), **options}
        self._before: Taking | None = None
        self.connect()

    def connect(self) -> None:
        """Over a new connection, of which Redis knows nothing yet."""
        self.connection = Connection(self._url, transport_options=self._options)
        if self._by_script:
            self.connection.get_transport_cls = lambda: transport_for(KombusTransport)
        self.channel = self.connection.default_channel
        self.channel.do_restore = False
        if self._by_script:
            self.taking = Taking(
                self.channel,
                self.identity,
                sure=lambda: self.sure,
                failed=self.fail,
                finished=self._finished,
                before=self._before,
            )
            self.channel.take_by(self.taking)
        self.channel.basic_qos(0, self.slots, False)
        self.consumer = self.connection.Consumer(
            self._queues, on_message=self.messages.append, auto_declare=False
        )
        self.consumer.consume()

    def fail(self) -> None:
        """As the agent, when it gives up."""
        self.taking.let_go = True

    def take(self) -> list[str]:
        """Take what can be taken now; the ids of what is held then."""
        while self.taking.turn(loops=False):
            pass
        return self.ids()

    def look_and_take(self) -> list[str]:
        """Also if it sleeps or watches: as when its time for a look has come."""
        self.taking.idle._slept_in, self.taking.idle._look_at = True, 0.0
        return self.take()

    def wait(self, timeout_s: float = 30.0) -> Any:
        """The next message, however long it takes to come."""
        had = len(self.messages)
        while len(self.messages) == had:
            self.connection.drain_events(timeout=timeout_s)
        return self.messages[-1]

    def ids(self) -> list[str]:
        return [message.headers["id"] for message in self.messages]

    def ack(self, at: int = 0) -> None:
        self.messages.pop(at).ack()

    def give_back(self, at: int = 0) -> None:
        take = self.messages.pop(at).sluiceway
        with self.taking.raw.pipeline(transaction=False) as pipe:
            self.taking.give_back(pipe, take)
            pipe.execute()
        self.taking.held.pop(take.tag, None)

    def cut(self) -> None:
        """Lose the connection, and come back."""
        self._before = self.taking
        self.vanish()
        self.connect()

    def vanish(self) -> None:
        """As a process that is killed: not a word to anybody."""
        for client in ("client", "subclient"):
            connection = getattr(self.channel.__dict__.get(client), "connection", None)
            if connection is not None:
                connection.disconnect()
        self.taking.idle._watch.close()
        self.channel._disconnect_pools()


@pytest.fixture
def client(redis_server: Any) -> redis.Redis:
    return redis_server.client()  # type: ignore[no-any-return]


@pytest.fixture
def hand(redis_server: Any) -> Iterator[Callable[..., Hand]]:
    """``hand("a", "work", slots=2)``: a new consumer."""
    made: list[Hand] = []

    def make(name: str, *queues: str, **options: Any) -> Hand:
        made.append(Hand(redis_server.url, name, *queues, **options))
        return made[-1]

    yield make
    for one in made:
        one.connection.close()


def message(name: str, priority: int = 0, came_back: bool = False, **headers: Any) -> bytes:
    """What a publisher writes, with what a decoder would spoil."""
    return json.dumps(
        {
            "body": "e30=",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": name, "empty": [], "t": 1764000000.123456, **headers},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "shop", "routing_key": "a.b"}
                | ({"redelivered": True} if came_back else {}),
                "delivery_tag": f"published-{name}",
                "priority": priority,
            },
        }
    ).encode()


@pytest.fixture
def publish(client: redis.Redis) -> Callable[..., bytes]:
    """``publish("m1", "work", priority=3)``: push as kombu does; the bytes."""

    def publish(
        name: str, queue: str = "work", priority: int = 0, prefix: str = "", **more: Any
    ) -> bytes:
        body = message(name, priority, **more)
        keys = dict(zip(wire.PRIORITY_STEPS, wire.queue_keys(prefix, queue), strict=True))
        client.lpush(keys[priority], body)
        return body

    return publish

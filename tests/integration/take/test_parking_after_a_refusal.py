"""A broker that refuses for a while does not keep what is parked for good."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from sluiceway_worker import parking, wire
from sluiceway_worker.parking import Parking


def test_what_is_due_is_brought_back_once_a_broker_is_no_replica_any_more(
    hand: Callable[..., Any], client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(parking, "monotonic", lambda: now)
    drain: Any = SimpleNamespace(door=hand("a").taking)
    one = Parking("shop/work", drain, lambda: 0.0)
    client.zadd(wire.parked_lists_key(""), {"work": 1.0})
    client.zadd(wire.parked_key("", "work"), {"tag": 1.0})
    client.hset(wire.parked_bodies_key("", "work"), "tag", "message")
    client.replicaof("127.0.0.1", 1)
    one.heard(client)
    client.replicaof("NO", "ONE")
    one.heard(client)
    assert client.llen("work") == 0, "one that refuses is left in peace for a while"
    now += 61
    one.heard(client)
    assert client.lrange("work", 0, -1) == [b"message"]


def test_what_is_due_is_brought_back_though_the_server_has_no_memory_left(
    hand: Callable[..., Any], client: redis.Redis
) -> None:
    drain: Any = SimpleNamespace(door=hand("a").taking)
    client.zadd(wire.parked_lists_key(""), {"work": 1.0})
    client.zadd(wire.parked_key("", "work"), {"tag": 1.0})
    client.hset(wire.parked_bodies_key("", "work"), "tag", "message")
    client.config_set("maxmemory", 1)
    Parking("shop/work", drain, lambda: 0.0).heard(client)
    client.config_set("maxmemory", 0)
    assert client.lrange("work", 0, -1) == [b"message"]

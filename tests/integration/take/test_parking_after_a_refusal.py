"""A broker that refuses for a while does not keep what is parked for good."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from sluiceway_worker import parking, wire
from sluiceway_worker.parking import Parking


def test_what_is_due_is_brought_back_once_a_full_broker_has_room_again(
    hand: Callable[..., Any], client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(parking, "monotonic", lambda: now)
    drain: Any = SimpleNamespace(door=hand("a").taking)
    one = Parking("shop/work", drain, lambda: 0.0)
    client.zadd(wire.parked_lists_key(""), {"work": 1.0})
    client.zadd(wire.parked_key("", "work"), {"tag": 1.0})
    client.hset(wire.parked_bodies_key("", "work"), "tag", "message")
    client.config_set("maxmemory", 1)
    one.heard(client)
    client.config_set("maxmemory", 0)
    one.heard(client)
    assert client.llen("work") == 0, "one that refuses is left in peace for a while"
    now += 61
    one.heard(client)
    assert client.lrange("work", 0, -1) == [b"message"]

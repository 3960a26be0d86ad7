"""The script that gives a held message back, on a real server and on kombu's own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluiceway_worker import wire

AWKWARD = (
    b'{"body": "e30=", "headers": {"empty": [], "map": {}, "t": 1764000000.123456, '
    b'"big": 12345678901234567890, "text": "a \\u00e9 \\" ]"}, "properties": {"priority": 3}}'
)
TAIL = ', "shop", "video"]'


@pytest.fixture
def give_back(redis_server: Any) -> Callable[..., int]:
    client = redis_server.client()
    taken_at = 1764000000.25
    client.zadd("unacked_index", {"tag": taken_at})
    client.hset("unacked", "tag", b"[" + AWKWARD + TAIL.encode())

    def run(at: float = taken_at, tail: str = TAIL, body: bytes = b"", tag: str = "tag") -> int:
        keys = ("unacked", "unacked_index", "video\x06\x163")
        return int(client.eval(wire.GIVE_BACK, 3, *keys, tag, repr(at), tail, body))

    return run


def left(client: Any) -> tuple[list[bytes], int, int]:
    return (
        client.lrange("video\x06\x163", 0, -1),
        client.hlen("unacked"),
        client.zcard("unacked_index"),
    )


def test_it_moves_the_message_to_the_head_byte_for_byte(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    client = redis_server.client()
    client.lpush("video\x06\x163", b"behind")
    assert give_back() == 1
    assert left(client) == ([b"behind", AWKWARD], 0, 0)
    assert json.loads(AWKWARD)["headers"]["empty"] == []


def test_a_second_time_it_does_nothing(give_back: Callable[..., int], redis_server: Any) -> None:
    assert (give_back(), give_back()) == (1, 0)
    assert left(redis_server.client()) == ([AWKWARD], 0, 0)


def test_a_message_that_another_worker_took_since_is_left_to_it(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    client = redis_server.client()
    client.zadd("unacked_index", {"tag": 1764003600.0})
    assert give_back() == 0
    assert left(client) == ([], 1, 1)


def test_an_acknowledged_message_is_not_brought_back(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    client = redis_server.client()
    client.zrem("unacked_index", "tag")
    client.hdel("unacked", "tag")
    assert give_back() == 0
    assert left(client) == ([], 0, 0)


def test_a_value_of_another_form_is_touched_only_with_the_message_at_hand(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    client = redis_server.client()
    assert give_back(tail=', "other", "video"]') == -1
    assert left(client) == ([], 1, 1)
    assert give_back(tail=', "other", "video"]', body=AWKWARD) == 1
    assert left(client) == ([AWKWARD], 0, 0)


def test_a_list_of_the_wrong_type_leaves_the_message_held(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    client = redis_server.client()
    client.set("video\x06\x163", "not a list")
    with pytest.raises(Exception, match="WRONGTYPE"):
        give_back()
    assert client.hlen("unacked") == 1

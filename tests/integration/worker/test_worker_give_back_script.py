"""The script that gives a held message back, on a real server and on kombu's own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluiceway_worker import returns

AWKWARD = (
    b'{"body": "e30=", "headers": {"empty": [], "map": {}, "t": 1764000000.123456, '
    b'"big": 12345678901234567890, "text": "a \\u00e9 \\" ]"}, "properties": {"priority": 3}}'
)
TAIL = ', "shop", "video"]'


@pytest.fixture
def give_back(redis_server: Any) -> Callable[..., int]:
    client = redis_server.client()
    client.zadd("unacked_index", {"tag": 1764000000.123457})
    client.hset("unacked", "tag", b"[" + AWKWARD + TAIL.encode())

    def run(
        before: float = 1764000000.123457,
        after: float = 1764000000.123457,
        tail: str = TAIL,
        body: bytes = b"",
    ) -> int:
        keys = ("unacked", "unacked_index", "video\x06\x163")
        return int(client.eval(returns.GIVE_BACK, 3, *keys, "tag", before, after, tail, body))

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


def test_only_what_was_taken_between_the_two_times_is_ours(
    give_back: Callable[..., int], redis_server: Any
) -> None:
    """Given back and taken by another within a millisecond; or held up for a minute."""
    assert give_back(before=1764000000.122457, after=1764000000.123456) == 0
    assert give_back(before=1764000000.123458, after=1764000000.124457) == 0
    assert left(redis_server.client()) == ([], 1, 1)
    assert give_back(before=1763999950.5, after=1764000010.5) == 1


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


def test_a_message_is_pushed_back_once_however_often_it_is_asked(redis_server: Any) -> None:
    client = redis_server.client()
    push = pusher(client)
    assert [push("m1", b"first"), push("m1", b"first"), push("m2", b"second")] == [1, 0, 1]
    assert left(client)[0] == [b"first", b"second"]
    assert client.pttl("mark:m1") > 3_600_000


def test_what_may_stand_in_unacked_already_is_not_there_twice(redis_server: Any) -> None:
    """The connection was lost while it was written: perhaps before, perhaps after."""
    client = redis_server.client()
    push = pusher(client)
    client.zadd("unacked_index", {"written": 20.5, "anothers": 99.0})
    client.hset("unacked", mapping={"written": b"[1]", "anothers": b"[2]"})
    assert push("m1", b"1", "written", 20.0, 21.0) == 1
    assert push("m2", b"2", "anothers", 20.0, 21.0) == 1
    assert push("m3", b"3", "unwritten", 20.0, 21.0) == 1
    assert client.hgetall("unacked") == {b"anothers": b"[2]"}
    assert client.zrange("unacked_index", 0, -1) == [b"anothers"]


def test_a_push_that_failed_may_be_tried_again(redis_server: Any) -> None:
    client = redis_server.client()
    push = pusher(client)
    client.set("video\x06\x163", "not a list")
    with pytest.raises(Exception, match="WRONGTYPE"):
        push("m1", b"message")
    client.delete("video\x06\x163")
    assert push("m1", b"message") == 1


def pusher(client: Any) -> Callable[..., int]:
    def push(
        mark: str, body: bytes, tag: str = "", before: float | str = "", after: float | str = ""
    ) -> int:
        keys = (f"mark:{mark}", "unacked", "unacked_index", "video\x06\x163")
        ttl = returns.PUSHED_TTL_MS
        return int(client.eval(returns.PUSH_BACK_ONCE, 4, *keys, tag, before, after, body, ttl))

    return push


@pytest.mark.parametrize(("score", "acknowledged"), [(20.5, 1), (99.0, 0)])
def test_what_somebody_else_took_since_is_not_acknowledged(
    score: float, acknowledged: int, redis_server: Any
) -> None:
    client = redis_server.client()
    client.zadd("unacked_index", {"tag": score})
    client.hset("unacked", "tag", b"[]")
    keys = ("unacked", "unacked_index")
    assert client.eval(returns.ACKNOWLEDGE, 2, *keys, "tag", 20.0, 21.0) == acknowledged
    assert client.hlen("unacked") == client.zcard("unacked_index") == 1 - acknowledged

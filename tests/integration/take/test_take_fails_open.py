"""An error of our own in taking: kombu takes from then on, and what is held stays on the books."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest
import redis

from sluiceway_worker import wire


def breaks(*_: Any) -> Any:
    raise ZeroDivisionError("as the test wants it")


@pytest.mark.parametrize("part", ["_wants", "_ask", "_learn", "idle.begin"])
def test_kombu_takes_what_comes_after_an_error_of_ours(
    part: str, hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a", slots=2)
    assert a.take() == ["m1"]
    *within, name = part.split(".")
    setattr(attrgetter(*within)(a.taking) if within else a.taking, name, breaks)
    a.look_and_take()
    assert a.taking.let_go
    publish("m2")
    assert a.wait().headers["id"] == "m2"
    held = client.hkeys(wire.held_key("", a.identity.incarnation))
    assert held == [a.messages[0].delivery_tag.encode()], "the second is kombu's own"
    a.ack(), a.ack()
    assert not client.exists("unacked", "unacked_index", held[0].decode())
    assert not client.exists(wire.held_key("", a.identity.incarnation))
    a.consumer.cancel()


def test_a_sleeper_that_is_let_go_takes_by_itself_and_a_watcher_gives_up_its_watch(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b = hand("a"), hand("b")
    a.take(), b.take()
    assert (a.taking.idle.watches, bool(b.channel._in_poll)) == (True, True)
    for one in (a, b):
        one.fail()
        publish("m")
        assert one.wait().headers["id"] == "m"
    assert not client.keys("*sluiceway:watch:*")
    assert not client.hlen(wire.held_key("", a.identity.incarnation))


def test_one_that_breaks_before_its_first_take_is_kombus_from_the_start(
    hand: Callable[..., Any], publish: Callable[..., bytes]
) -> None:
    a = hand("a")
    a.fail()
    publish("m1")
    assert a.wait().headers["id"] == "m1"


def test_a_take_that_is_not_known_goes_back_when_kombu_takes_over(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    asks = a.taking._ask

    def breaks_behind(*args: Any) -> Any:
        asks(*args)
        return breaks()

    a.taking._ask = breaks_behind
    assert a.take() == []
    assert client.hlen("unacked") == 1
    assert a.wait().headers["id"] == "m1"
    assert not a.messages[0].delivery_tag.startswith(a.identity.incarnation)
    a.ack()
    assert not client.exists("unacked", "work")

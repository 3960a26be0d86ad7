"""A take writes down at once who has what from where; and every way that a message leaves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from sluiceway_worker import takes, taking, wire
from sluiceway_worker.takes import run


def books(client: redis.Redis, who: Any, prefix: str = "") -> tuple[int, int, int]:
    """How many messages: in ``unacked``, in its index, in the holdings."""
    return (
        client.hlen(f"{prefix}unacked"),
        client.zcard(f"{prefix}unacked_index"),
        client.hlen(wire.held_key(prefix, who.identity.incarnation)),
    )


@pytest.mark.parametrize("prefix", ["", "shop:{é}:"])
def test_a_take_is_on_all_books_with_its_own_tag_and_not_a_byte_is_changed(
    prefix: str, hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    body = publish("m1", priority=3, prefix=prefix)
    a = hand("a", global_keyprefix=prefix)
    before = time.time()
    assert a.take() == ["m1"]
    (held,) = a.messages
    inc = a.identity.incarnation
    tag = held.delivery_tag
    assert tag == f"{inc}:000000000001"
    value = client.hget(f"{prefix}unacked", tag)
    assert value == b"[" + body + b', "", "work"]'
    tail, source = client.hget(wire.held_key(prefix, inc), tag).decode().split(":", 1)
    assert (value[1 : -int(tail)], source) == (body, "work\x06\x163")
    assert before <= client.zscore(f"{prefix}unacked_index", tag) <= time.time()
    holder = client.hget(wire.holders_key(prefix), inc)
    about = replace(a.identity.holder, waits=a.taking.idle.name)
    assert holder.decode() == about.to_text(connections=0)
    a.ack()
    assert books(client, a, prefix) == (0, 0, 0)


def test_it_takes_no_more_than_it_has_slots(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    for name in ("m1", "m2", "m3"):
        publish(name)
    a = hand("a", slots=2)
    assert a.take() == ["m1", "m2"]
    assert (client.llen("work"), books(client, a)) == (1, (2, 2, 2))
    a.ack()
    assert a.take() == ["m2", "m3"]


def test_the_most_urgent_first_and_the_queues_in_turns(
    hand: Callable[..., Any], publish: Callable[..., bytes]
) -> None:
    for name in ("a1", "a2", "a3"):
        publish(name, "a")
    for name in ("b1", "b2"):
        publish(name, "b")
    publish("b-late", "b", priority=9)
    publish("a-less", "a", priority=3)
    both = hand("both", "a", "b", slots=9)
    assert both.take() == ["a1", "b1", "a2", "b2", "a3", "a-less", "b-late"]


def test_kombus_visibility_timeout_brings_it_back_to_the_queue_it_was_taken_from(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1", priority=6)
    a, plain = hand("a", slots=1), hand("plain", by_script=False, visibility_timeout=1)
    a.take()
    client.zadd("unacked_index", {a.messages[0].delivery_tag: 1.0})
    plain.channel.qos.restore_visible(interval=1)
    assert client.llen("work\x06\x166") == 1
    back = plain.wait()
    assert back.headers["id"] == "m1"
    assert back.headers["redelivered"]
    # The first taker's late acknowledgement is of a take that is no more.
    a.ack()
    assert client.hlen("unacked") == 1
    back.ack()
    assert books(client, a) == (0, 0, 0)


def test_what_is_rejected_to_be_run_again_is_in_nobodys_name(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    a.take()
    a.messages.pop().requeue()
    assert (client.llen("work"), books(client, a)) == (1, (0, 0, 0))
    a.take()
    a.messages.pop().reject()
    assert (client.llen("work"), books(client, a)) == (0, (0, 0, 0))


def test_given_back_it_is_at_the_head_byte_for_byte_and_once(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    first, second = publish("m1"), publish("m2")
    a = hand("a")
    a.take()
    take = a.messages[0].sluiceway
    a.give_back()
    keys = [*a.taking._mine, "work"]
    assert run(client, takes.GIVE_BACK_TAKE, keys, take.tag, take.tail) == 0
    assert client.lrange("work", 0, -1) == [second, first]
    assert books(client, a) == (0, 0, 0)


def test_a_take_whose_answer_was_lost_goes_back_when_it_settles_and_what_is_known_stays(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    bodies = [publish(name) for name in ("m1", "m2", "m3")]
    a = hand("a", slots=3)
    a.take()
    known = a.messages[1].sluiceway.tag
    a.taking.held = {known: None}
    a.cut()
    assert a.taking.square() == 2
    assert a.taking.square() == 0
    assert client.lrange("work", 0, -1) == [bodies[2], bodies[0]]
    assert books(client, a) == (1, 1, 1)
    assert client.hkeys("unacked") == [known.encode()]


def test_only_what_is_still_held_is_renewed(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1"), publish("m2")
    a = hand("a", slots=2)
    a.take()
    one, gone = (message.delivery_tag for message in a.messages)
    client.zadd("unacked_index", {one: 1.0})
    client.zrem("unacked_index", gone)
    before = time.time()
    a.taking.renew(client)
    assert client.zscore("unacked_index", one) >= before
    assert client.zcard("unacked_index") == 1


def test_where_it_cannot_be_written_down_it_is_back_in_its_list(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    body, behind = publish("m1"), publish("m2")
    a = hand("a")
    client.set(wire.held_key("", a.identity.incarnation), "no hash")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        a.take()
    assert client.lrange("work", 0, -1) == [behind, body]
    assert client.hlen("unacked") == client.zcard("unacked_index") == 0


def test_messages_are_taken_while_the_server_has_no_memory_left(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    client.config_set("maxmemory", "1")
    assert a.take() == ["m1"]
    a.ack()
    assert books(client, a) == (0, 0, 0)
    assert a.take() == []


def test_what_is_held_goes_back_while_the_server_has_no_memory_left(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    """Only who takes makes room: nothing that has to come before may wait for it."""
    bodies = [publish(name) for name in ("m1", "m2")]
    a = hand("a", slots=2)
    a.take()
    a.taking.held.popitem()
    client.config_set("maxmemory", 1)
    try:
        assert a.taking.square() == 1
        a.give_back()
        assert client.lrange("work", 0, -1) == bodies[::-1]
    finally:
        client.config_set("maxmemory", 0)


def test_what_is_no_message_is_dropped_and_said_and_the_next_is_taken(
    hand: Callable[..., Any],
    publish: Callable[..., bytes],
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client.lpush("work", b"\xff no message", b'["nor", "this"]', b"{}")
    publish("m1")
    a = hand("a")
    assert a.take() == ["m1"]
    assert caplog.text.count("no message, from work") == 3
    assert client.hlen("unacked") == 1


def test_a_server_that_refuses_any_part_of_it_is_left_to_kombus_way(
    hand: Callable[..., Any], client: redis.Redis, redis_server: Any
) -> None:
    a = hand("a")
    assert a.taking.refusal() is None
    assert client.keys("*") == []
    for refused in ("-evalsha -eval", "-hkeys", "-scard", "-lpush"):
        words = ("ACL", "SETUSER", "shop", "reset", "on", ">secret", "~*", "&*", "+@all")
        client.execute_command(*words, *refused.split())
        url = redis_server.url.replace("redis://", "redis://shop:secret@")
        b = type(a)(url, "b")
        assert "permission" in str(b.taking.refusal()).lower()
        b.connection.close()


def test_who_leaves_with_nothing_held_is_no_holder(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    a.take()
    a.taking.goodbye()
    assert client.hlen(wire.holders_key("")) == 1
    a.ack()
    a.taking.goodbye()
    assert client.hlen(wire.holders_key("")) == 0


def test_who_leaves_after_a_visibility_timeout_took_everything_is_no_holder(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    a.take()
    client.hdel("unacked", *a.taking.held)
    a.taking.goodbye()
    assert not client.keys("sluiceway:held:*")
    assert client.hlen(wire.holders_key("")) == 0


def test_a_take_that_arrives_late_over_a_connection_that_was_lost_takes_nothing(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    """After the settling nobody would look for it, and the worker that has it lives."""
    a = hand("a", slots=2)
    sent: list[Any] = []
    asks = a.taking._ask
    a.taking._ask = lambda script, keys, *args: (
        sent.append((keys, args)) or asks(script, keys, *args)
    )
    a.take()
    publish("m1")
    a.cut()
    assert a.taking.square() == 0
    keys, args = sent[-1]
    with pytest.raises(redis.ResponseError, match="an earlier connection"):
        run(client, takes.TAKE, keys, *args)
    assert (client.llen("work"), books(client, a)) == (1, (0, 0, 0))
    assert a.take() == ["m1"]


def test_a_worker_at_work_leaves_a_suspect_where_it_is_and_tells_one_who_waits(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    """Held for a moment, it would share in a death at that moment."""
    suspect = publish("m1").replace(b'"empty"', b'"sluiceway_suspect": true, "empty"')
    client.lset("work", 0, suspect)
    a = hand("a")
    a.taking._suspects._busy = lambda: True
    assert a.take() == []
    assert (client.lrange("work", 0, -1), books(client, a)) == ([suspect], (0, 0, 0))
    assert client.llen(a.taking.idle.words) == 1
    a.taking._suspects._busy = lambda: False
    assert a.look_and_take() == ["m1"]


def test_a_consumer_that_does_not_acknowledge_holds_nothing(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    publish("m1")
    a = hand("a")
    a.consumer.cancel()
    a.consumer.consume(no_ack=True)
    assert a.take() == ["m1"]
    assert books(client, a) == (0, 0, 0)


def test_a_take_that_is_under_way_while_it_settles_is_kept(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    """As two greenlets may do."""
    publish("m1")
    a = hand("a")
    asks = a.taking._ask

    def settles_meanwhile(*args: Any) -> Any:
        answer = asks(*args)
        assert a.taking.square() == 0
        return answer

    a.taking._ask = settles_meanwhile
    assert a.take() == ["m1"]
    assert books(client, a) == (1, 1, 1)


def test_one_that_does_not_answer_is_given_up_also_after_a_long_rest(
    hand: Callable[..., Any], client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "ANSWER_S", 0.2)
    a = hand("a")
    a.take()
    a.taking.idle.step_down()
    # It has not been used for so long that redis-py would ask first whether it is alive.
    a.channel.client.connection.next_health_check = 0
    server = int(client.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(redis.TimeoutError, match="no answer"):
            a.look_and_take()
    finally:
        os.kill(server, signal.SIGCONT)
    assert a.channel.client.connection._sock is None

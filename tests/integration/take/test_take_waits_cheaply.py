"""Idle takers: one watches, the others sleep, and one message wakes one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from kombu.asynchronous.hub import Hub
from kombu.asynchronous.timer import Timer

from sluiceway_worker import waiting
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, recover, recovery

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def nobody_is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: who sleeps wakes for a word only, and no watch ends."""
    monkeypatch.setattr(waiting, "_SLEEP_S", (600, 600))
    monkeypatch.setattr(waiting, "_LOOK_S", 600.0)
    monkeypatch.setattr(waiting, "WATCH_MS", 600_000)


def watches(hand: Any) -> bool:
    return bool(hand.taking.idle.watches)


def sleeps(hand: Any) -> bool:
    return bool(hand.channel._in_poll) and not watches(hand)


def lease(client: redis.Redis) -> bytes | None:
    keys = client.keys("sluiceway:watch:*")
    return client.get(keys[0]) if keys else None  # type: ignore[return-value]


def hear(hand: Any) -> None:
    """Let it hear what comes, until it is awake and has looked."""
    while sleeps(hand):
        hand.connection.transport.cycle.poller.poll(PATIENCE_S)
        hand.taking.idle.readable()
        hand.take()


def test_one_watches_and_the_others_sleep(hand: Callable[..., Any], client: redis.Redis) -> None:
    a, b, c = hand("a"), hand("b"), hand("c")
    for one in (a, b, c):
        one.take()
    assert [watches(one) for one in (a, b, c)] == [True, False, False]
    assert [sleeps(one) for one in (a, b, c)] == [False, True, True]
    assert lease(client) == a.identity.incarnation.encode()


def test_a_new_message_wakes_the_watcher_and_another_watches_in_its_place(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b, c = hand("a"), hand("b"), hand("c")
    for one in (a, b, c):
        one.take()
    publish("m1")
    assert a.wait(PATIENCE_S).headers["id"] == "m1"
    hear(b)
    assert (watches(b), sleeps(c)) == (True, True)
    publish("m2")
    assert b.wait(PATIENCE_S).headers["id"] == "m2"


def test_many_messages_wake_many(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    hands = [hand(f"h{number}") for number in range(6)]
    for one in hands:
        one.take()
    for number in range(6):
        publish(f"m{number}")
    for one in hands:
        one.wait(PATIENCE_S)
    assert sorted(name for one in hands for name in one.ids()) == [f"m{n}" for n in range(6)]


def test_one_message_among_fifty_idle_takers_costs_a_few_looks(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    hands = [hand(f"h{number}") for number in range(50)]
    for one in hands:
        one.take()
    before = scripts(client)
    publish("m")
    assert hands[0].wait(PATIENCE_S)
    (woken,) = [one for one in hands if sleeps(one) and not _asleep_now(one)]
    hear(woken)
    assert watches(woken)
    assert scripts(client) - before <= 4


def _asleep_now(hand: Any) -> bool:
    return not hand.connection.transport.cycle.poller.poll(0)


def scripts(client: redis.Redis) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


@pytest.mark.parametrize("trouble", ["refused", "lost"])
def test_a_watcher_that_is_not_told_looks_by_itself(
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    hand: Callable[..., Any],
    publish: Callable[..., bytes],
    client: redis.Redis,
    redis_server: Any,
) -> None:
    monkeypatch.setattr(waiting, "_LOOK_S", 1.0)
    if trouble == "refused":
        words = "ACL SETUSER shop reset on >secret ~* &* +@all -client|tracking"
        client.execute_command(*words.split())
        url = redis_server.url.replace("redis://", "redis://shop:secret@")
        a = type(hand("unused"))(url, "a")
    else:
        a = hand("a")
    a.take()
    if trouble == "lost":
        a.taking.idle._watch.connection.disconnect()
    publish("m1")
    assert a.wait(PATIENCE_S).headers["id"] == "m1"
    a.connection.close()


def test_a_watcher_that_is_told_of_what_it_cannot_take_leaves_the_loop_to_its_other_timers(
    hand: Callable[..., Any],
    publish: Callable[..., bytes],
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_POLL_S", 600.0)
    # As while a replica leads already, and the connection that takes is to the old primary.
    a = hand("a")
    a.taking.idle._watch.arm = lambda lists: True
    timer = Timer()
    a.connection.transport.cycle.loop = Hub(timer)
    before = scripts(client)
    for _ in range(20):
        a.taking.idle._look_at = 0.0
        a.taking.turn(loops=True)
    assert scripts(client) - before <= 2 * 20
    assert [one.entry.canceled for one in timer.queue].count(False) == 1
    publish("m1")
    a.taking.idle._look_at = 0.0
    assert a.taking.turn(loops=True) == 1


def test_when_the_watcher_has_vanished_a_sleeper_looks_by_itself(
    hand: Callable[..., Any], publish: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SLEEP_S", (1, 1))
    a, b = hand("a"), hand("b")
    a.take(), b.take()
    a.vanish()
    publish("m1")
    assert b.wait(PATIENCE_S).headers["id"] == "m1"


@pytest.mark.parametrize("holds", [1, 0], ids=["it held one", "it held nothing"])
def test_whoever_brings_back_what_a_watcher_held_wakes_one_who_sleeps(
    holds: int, hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b = hand("a", slots=2), hand("b")
    publish("m1")
    a.take()
    if not holds:
        a.ack()
        a.take()
    b.take()
    assert (watches(a), sleeps(b)) == (True, True)
    a.vanish()
    death = Death(incarnation=a.identity.incarnation, at=1.0)
    assert recover(client, recovery(Place(), death)).returned == holds
    if not holds:
        hear(b)
        assert watches(b)
        publish("m1")
    assert b.wait(PATIENCE_S).headers["id"] == "m1"


def test_who_stops_taking_has_another_watch(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b = hand("a"), hand("b")
    a.take(), b.take()
    a.taking.closed = True
    a.take()
    hear(b)
    assert watches(b)
    b.taking.closed = True
    b.take()
    publish("m1")
    assert lease(client) is None
    a.taking.closed = False
    assert a.take() == ["m1"]


def test_a_word_that_comes_to_one_who_cannot_take_is_passed_on(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b, c = hand("a"), hand("b"), hand("c")
    for one in (a, b, c):
        one.take()
    b.taking.closed = True
    b.take()
    a.connection.close()
    for one in (b, c):
        one.connection.transport.cycle.poller.poll(PATIENCE_S)
        one.taking.idle.readable()
        one.take()
    assert watches(c)


def test_a_queue_that_is_added_is_served_at_once_and_a_cancelled_one_no_more(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, b = hand("a", slots=3), hand("b", slots=3)
    a.take(), b.take()
    for one in (a, b):
        one.consumer.add_queue(
            type(one.consumer.queues[0])("other", one.consumer.queues[0].exchange, "other")
        )
        one.consumer.consume()
    publish("m1", "other")
    assert b.take() == ["m1"]
    b.consumer.cancel_by_queue("other")
    publish("m2", "other")
    assert b.take() == ["m1"]
    publish("m3")
    assert b.wait(PATIENCE_S).headers["id"] == "m3"


def test_a_plain_consumer_takes_beside_it(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    a, plain = hand("a"), hand("plain", by_script=False)
    a.take()
    names = [f"m{number}" for number in range(2)]
    for name in names:
        publish(name)
    seen = {plain.wait(PATIENCE_S).headers["id"], a.wait(PATIENCE_S).headers["id"]}
    assert seen == set(names)
    assert client.hlen("unacked") == 2

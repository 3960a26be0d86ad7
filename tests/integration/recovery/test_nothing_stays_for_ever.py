"""Whoever is gone leaves nothing in the broker for ever, whether somebody looks after it or not."""

from __future__ import annotations

from typing import Any

from sluiceway_worker import wire
from sluiceway_worker.recovery import Place, recover
from sluiceway_worker.tidying import tidying


def tidy(shop: Any, **more: Any) -> int:
    return recover(shop.redis, tidying(Place(prefix=shop.prefix), **more))


def lose(shop: Any, tag: str) -> None:
    """The visibility timeout gives a message away."""
    shop.redis.hdel(f"{shop.prefix}unacked", tag)
    shop.redis.zrem(f"{shop.prefix}unacked_index", tag)


def register(shop: Any, incarnation: str) -> None:
    shop.redis.sadd(wire.workers_key(shop.prefix), incarnation)


def test_of_one_run_by_hand_nothing_is_left_once_nothing_is_held_in_its_name(shop: Any) -> None:
    for _ in range(2):
        shop.send()
    first, second = (shop.take("hand:1", fleet="") for _ in range(2))
    register(shop, "hand:1")
    lose(shop, first)

    tidy(shop)

    # What may still come back keeps its holder, for whoever proves its death.
    assert (shop.held("hand:1"), shop.holders(), shop.unacked()) == (1, {"hand:1"}, 1)
    lose(shop, second)
    assert tidy(shop) == 1
    assert not shop.redis.keys("*sluiceway*")


def test_a_worker_on_kombus_way_that_was_killed_is_forgotten_too(shop: Any) -> None:
    register(shop, "hand:1")
    assert tidy(shop) == 1
    assert not shop.redis.keys("*sluiceway*")


def test_who_lives_or_is_looked_after_stays(shop: Any) -> None:
    for n, fleet in enumerate(("", "shop/work", "shop/mail")):
        shop.send()
        lose(shop, shop.take(f"w{n}:1", fleet=fleet))
        register(shop, f"w{n}:1")
    shop.beat("w0:1")
    shop.redis.set(wire.parking_key(shop.prefix, "shop/mail"), "an operator")

    assert tidy(shop, spare=["shop/work"]) == 0
    assert shop.holders() == {"w0:1", "w1:1", "w2:1"}

    # The operator of that fleet is gone, too.
    shop.redis.delete(wire.parking_key(shop.prefix, "shop/mail"))
    assert tidy(shop, spare=["shop/work"]) == 1
    assert shop.holders() == {"w0:1", "w1:1"}


def test_however_many_were_lost_they_are_all_forgotten_in_the_end(shop: Any) -> None:
    for n in range(450):
        register(shop, f"hand:{n}")
    rounds = 0
    while tidy(shop):
        rounds += 1
    assert not shop.redis.exists(wire.workers_key(shop.prefix))
    assert rounds > 1

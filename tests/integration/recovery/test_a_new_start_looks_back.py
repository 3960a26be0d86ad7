"""A start in the same pod recovers the container before it, and nobody else."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery

from sluiceway_worker import wire
from sluiceway_worker.identity import Identity
from sluiceway_worker.predecessors import look_back
from sluiceway_worker.recovery import Place
from sluiceway_worker.results import asks

NEW = Identity(
    fleet="shop/work",
    name="work-1",
    incarnation="work-1:new",
    wished_at=0.0,
    container="boot1:200",
)


def register(shop: Any, incarnation: str, container: str, fleet: str = "shop/work") -> None:
    holder = wire.Holder(fleet, container, 1.0)
    shop.redis.hset(wire.holders_key(shop.prefix), incarnation, holder.to_text())


def start(shop: Any, **more: Any) -> list[Any]:
    place = Place(prefix=shop.prefix)
    return look_back(shop.redis, place, NEW, now=time.time(), max_deliveries=3, **more)


def test_what_the_container_before_held_comes_back(shop: Any) -> None:
    task = shop.send()
    shop.take("work-1:old")
    register(shop, "work-1:old", "boot1:100")
    (recovered,) = start(shop)
    assert (recovered.returned, recovered.death.blamed) == (1, True)
    assert (shop.ids(), shop.holders()) == ([task], set())
    assert b"sluiceway_deaths" in shop.waiting()[0]


def test_a_machine_that_was_started_anew_is_no_fault_of_the_task(shop: Any) -> None:
    shop.send()
    shop.take("work-1:old")
    register(shop, "work-1:old", "boot0:100")
    (recovered,) = start(shop)
    assert (recovered.returned, recovered.death.blamed) == (1, False)
    assert b"sluiceway_deaths" not in shop.waiting()[0]


@pytest.mark.parametrize(
    ("incarnation", "container", "fleet"),
    [
        ("work-1:old", NEW.container, "shop/work"),
        ("work-1:old", "", "shop/work"),
        ("work-2:old", "boot1:100", "shop/work"),
        ("work-1:old", "boot1:100", "shop/other"),
        ("work-1:new", "boot1:100", "shop/work"),
    ],
    ids=["the same container", "unknown", "another pod", "another fleet", "itself"],
)
def test_what_is_not_proven_is_left_alone(
    shop: Any, incarnation: str, container: str, fleet: str
) -> None:
    shop.send()
    shop.take(incarnation)
    register(shop, incarnation, container, fleet)
    assert start(shop) == []
    assert (shop.held(incarnation), shop.ids()) == (1, [])


def test_one_who_does_not_know_its_own_container_concludes_nothing(shop: Any) -> None:
    shop.send()
    shop.take("work-1:old")
    register(shop, "work-1:old", "boot1:100")
    unknown = replace(NEW, container="")
    place = Place(prefix=shop.prefix)
    assert look_back(shop.redis, place, unknown, now=time.time(), max_deliveries=3) == []


def test_the_applications_own_result_backend_is_asked(shop: Any, tmp_path: Any) -> None:
    app = Celery(backend=f"file://{tmp_path}", set_as_current=False)
    done, undone = shop.send(), shop.send()
    app.backend.store_result(done, None, "SUCCESS")
    for _ in range(2):
        shop.take("work-1:old")
    register(shop, "work-1:old", "boot1:100")
    (recovered,) = start(shop, finished=asks(app))
    assert (recovered.finished, recovered.returned) == (1, 1)
    assert shop.ids() == [undone]

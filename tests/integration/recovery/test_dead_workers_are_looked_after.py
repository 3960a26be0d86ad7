"""Who looks after a fleet's dead: at once on a proof, else after very long silence."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from sluiceway.act.recoveries import Charge, Recoveries
from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import Broker
from sluiceway.broker.holders import Cause, End
from sluiceway_worker.recovery import Recovered

FLEET = "shop/work"


class Ward:
    """A fleet, a clock that stands until it is turned, and what was told."""

    def __init__(self, shop: Any, url: str) -> None:
        self.shop = shop
        self.broker = Broker(parse_address(url))
        self.now = 0.0
        self.ends: list[End] = []
        self.deaths: list[tuple[Cause, Recovered]] = []
        self.letters: list[int] = []
        self.untold: list[int] = []
        self.leads = True
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens in the middle of a look, when a death is told."""
        self._told = asyncio.Event()
        self.recoveries = self.anew()

    def anew(self) -> Recoveries:
        """Another operator, who knows nothing of the one before."""
        recoveries = Recoveries(self, may_act=lambda: self.leads, monotonic=lambda: self.now)
        recoveries.put(self.charge())
        return recoveries

    def charge(self) -> Charge:
        return Charge(
            key=FLEET,
            broker=self.broker,
            prefix=self.shop.prefix,
            max_deliveries=3,
            silent_after_s=600.0,
            ends=lambda: self.ends,
        )

    def recovered(self, fleet: str, cause: Cause, recovered: Recovered) -> None:
        assert fleet == FLEET
        self.deaths.append((cause, recovered))
        self.meanwhile()
        self._told.set()

    def dead_letters(self, fleet: str, count: int, untold: int) -> None:
        self.letters.append(count)
        self.untold.append(untold)
        self._told.set()

    async def until(self, holds: Callable[[], Any]) -> None:
        while not holds():
            await self._told.wait()
            self._told.clear()

    def end(self, worker: str = "w", cause: Cause = Cause.CRASH, **more: Any) -> None:
        self.ends.append(End(worker=worker, cause=cause, reason="SIGKILL", **more))


@pytest.fixture
async def ward(shop: Any, redis_server: Any) -> AsyncIterator[Ward]:
    ward = Ward(shop, redis_server.url)
    yield ward
    await ward.broker.close()


@pytest.fixture
def lose_disk(redis_server: Any) -> Callable[[], None]:
    """Have the server find that it cannot write to its disk: it takes no writes from then on."""

    def lose_disk() -> None:
        client = redis_server.client()
        client.config_set("save", "3600 1000000")
        client.config_set("stop-writes-on-bgsave-error", "yes")
        shutil.rmtree(client.config_get("dir")["dir"])
        with suppress(redis.ResponseError):
            client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            time.sleep(0.02)

    return lose_disk


async def test_what_an_ended_worker_held_comes_back_and_is_told_once(ward: Ward) -> None:
    task = ward.shop.send()
    ward.shop.take("w:1")
    ward.end()
    await ward.recoveries.look()
    await ward.recoveries.look()
    ((cause, recovered),) = ward.deaths
    assert (cause, recovered.returned, recovered.death.blamed) == (Cause.CRASH, 1, True)
    assert ward.shop.ids() == [task]
    assert ward.letters == [0]


async def test_who_lives_keeps_what_it_holds(ward: Ward) -> None:
    ward.shop.send()
    ward.shop.take("w:2")
    ward.shop.beat("w:2")
    ward.end(before=time.time() - 60)
    await ward.recoveries.look()
    ward.now = 1e6
    await ward.recoveries.look()
    assert (ward.shop.ids(), ward.shop.held("w:2"), ward.deaths) == ([], 1, [])


async def test_where_the_container_runs_again_who_is_heard_keeps_what_it_holds(ward: Ward) -> None:
    """The clock may have been set back between the two lives."""
    ward.shop.send()
    ward.shop.take("w:2")
    ward.shop.beat("w:2")
    ward.end(before=time.time() + 60, if_silent=True)
    await ward.recoveries.look()
    assert (ward.shop.ids(), ward.shop.held("w:2"), ward.deaths) == ([], 1, [])
    ward.shop.redis.delete(f"{ward.shop.prefix}sluiceway:hb:w:2")
    await ward.recoveries.look()
    assert [recovered.death.blamed for _, recovered in ward.deaths] == [True]


async def test_another_fleets_dead_are_left_to_those_who_know_it(ward: Ward) -> None:
    ward.shop.send()
    ward.shop.take("w:1", fleet="shop/other")
    ward.end()
    await ward.recoveries.look()
    ward.now = 1e6
    await ward.recoveries.look()
    assert (ward.shop.held("w:1"), ward.deaths) == (1, [])


async def test_of_a_deleted_taskqueue_s_workers_nothing_is_left_once_it_holds_nothing(
    ward: Ward,
) -> None:
    ward.shop.send()
    tag = ward.shop.take("w:1", fleet="shop/deleted")
    await ward.recoveries.look()
    ward.shop.redis.hdel(f"{ward.shop.prefix}unacked", tag)
    for ward.now, left in ((599.0, 1), (600.0, 0)):
        await ward.recoveries.look()
        assert (ward.shop.held("w:1"), len(ward.shop.holders())) == (left, left)


async def test_very_long_silence_counts_as_a_death_that_is_nobodys_fault(ward: Ward) -> None:
    task = ward.shop.send()
    ward.shop.take("w:1")
    for ward.now in (0.0, 599.0):
        await ward.recoveries.look()
        assert ward.shop.ids() == []
    ward.now = 600.0
    await ward.recoveries.look()
    ((cause, recovered),) = ward.deaths
    assert (cause, recovered.death.blamed, recovered.death.proven) == (Cause.SILENCE, False, False)
    assert ward.shop.ids() == [task]


async def test_who_is_heard_again_begins_its_silence_anew(ward: Ward) -> None:
    ward.shop.send()
    ward.shop.take("w:1")
    await ward.recoveries.look()
    ward.now = 599.0
    ward.shop.beat("w:1")
    await ward.recoveries.look()
    ward.shop.redis.delete(f"{ward.shop.prefix}sluiceway:hb:w:1")
    for ward.now in (700.0, 1299.0):
        await ward.recoveries.look()
        assert ward.shop.held("w:1") == 1
    ward.now = 1300.0
    await ward.recoveries.look()
    assert ward.shop.held("w:1") == 0


@pytest.mark.parametrize("refuses", ["maxmemory", "min-replicas-to-write", "disk"])
async def test_while_a_broker_takes_no_heartbeats_silence_proves_nothing(
    refuses: str, ward: Ward, redis_server: Any, lose_disk: Callable[[], None]
) -> None:
    client = redis_server.client()
    task = ward.shop.send()
    ward.shop.take("w:1")
    await ward.recoveries.look()
    if refuses == "disk":
        lose_disk()
    else:
        client.config_set(refuses, 1)
    # Whoever lives is as silent as whoever is dead.
    for ward.now in (10.0, 1e4):
        await ward.recoveries.look()
        assert (ward.shop.held("w:1"), ward.deaths) == (1, [])
    client.config_set(*("save", "") if refuses == "disk" else (refuses, 0))
    for ward.now in (10_010.0, 10_020.0, 10_619.0):
        await ward.recoveries.look()
        assert (ward.shop.held("w:1"), ward.deaths) == (1, [])
    ward.now = 10_620.0
    await ward.recoveries.look()
    assert (ward.shop.ids(), len(ward.deaths)) == ([task], 1)


async def test_a_lost_nodes_workers_may_not_be_heard_by_a_full_broker_and_live(
    ward: Ward, redis_server: Any
) -> None:
    """As where somebody took the wrong machine for gone: who is heard keeps what it holds."""
    task = ward.shop.send()
    ward.shop.take("w:1")
    redis_server.client().config_set("maxmemory", 1)
    ward.end(cause=Cause.NODE, if_silent=True)
    await ward.recoveries.look()
    assert (ward.shop.held("w:1"), ward.recoveries.looked_into(FLEET)) == (1, frozenset())
    redis_server.client().config_set("maxmemory", 0)
    for ward.now in (10.0, 20.0):
        assert ward.deaths == []
        await ward.recoveries.look()
    assert (ward.shop.ids(), len(ward.deaths)) == ([task], 1)
    assert ward.recoveries.looked_into(FLEET) == frozenset(ward.ends)


async def test_a_proven_death_is_acted_on_though_the_brokers_memory_is_full(
    ward: Ward, redis_server: Any
) -> None:
    task = ward.shop.send()
    ward.shop.take("w:1")
    redis_server.client().config_set("maxmemory", 1)
    ward.end()
    await ward.recoveries.look()
    assert ward.shop.ids() == [task]


async def test_who_works_on_without_a_word_is_not_buried_at_every_look(ward: Ward) -> None:
    """As a worker does whose agent has given up."""
    task = ward.shop.send()
    ward.shop.take("w:1")
    await ward.recoveries.look()
    ward.now = 600.0
    await ward.recoveries.look()
    assert ward.shop.ids() == [task]
    ward.shop.take("w:1")
    for ward.now in (610.0, 1209.0):
        await ward.recoveries.look()
        assert (ward.shop.ids(), ward.shop.held("w:1")) == ([], 1)
    assert len(ward.deaths) == 1


async def test_an_operator_that_was_away_still_finds_them(ward: Ward) -> None:
    task = ward.shop.send()
    ward.shop.take("w:1")
    ward.end()
    await ward.anew().look()
    assert ward.shop.ids() == [task]


async def test_who_does_not_lead_moves_nothing(ward: Ward) -> None:
    ward.shop.send()
    ward.shop.take("w:1")
    ward.end()
    ward.leads = False
    await ward.recoveries.look()
    assert (ward.shop.held("w:1"), ward.deaths, ward.letters) == (1, [], [])


async def test_news_of_an_end_is_acted_on_at_once_also_after_a_brokers_trouble(
    ward: Ward, redis_server: Any
) -> None:
    running = asyncio.create_task(ward.recoveries.run())
    try:
        async with asyncio.timeout(60):
            await ward.until(lambda: ward.letters)
            task = ward.shop.send()
            ward.shop.take("w:1")
            # The clock stands still: only the news can bring it about.
            ward.end()
            ward.recoveries.touch(FLEET)
            await ward.until(lambda: ward.deaths)
            assert ward.shop.ids() == [task]
            ward.shop.take("v:1")
            redis_server.client().execute_command("CLIENT", "PAUSE", "3000", "ALL")
            ward.end("v")
            ward.recoveries.touch(FLEET)
            await ward.until(lambda: len(ward.deaths) == 2)
            assert ward.shop.ids() == [task]
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_news_of_an_end_that_comes_in_the_middle_of_a_look_is_acted_on_at_once(
    ward: Ward,
) -> None:
    tasks = {ward.shop.send(), ward.shop.send()}
    ward.shop.take("w:1")
    ward.shop.take("v:1")

    def another_ends() -> None:
        ward.meanwhile = lambda: None
        ward.end("v")
        ward.recoveries.touch(FLEET)

    ward.meanwhile = another_ends
    ward.end()
    ward.recoveries.touch(FLEET)
    for _ in range(2):
        await ward.recoveries.look(every=False)
    assert (len(ward.deaths), set(ward.shop.ids())) == (2, tasks)


async def test_a_dead_workers_last_heartbeat_is_waited_out_and_no_longer(ward: Ward) -> None:
    """Its container runs again, and was never seen ended."""
    task = ward.shop.send()
    ward.shop.take("w:1")
    ward.shop.beat("w:1")
    ward.end(before=time.time() + 1.0, if_silent=True)
    ward.recoveries.touch(FLEET)
    await ward.recoveries.look(every=False)
    assert ward.shop.ids() == []
    ward.shop.redis.delete(f"{ward.shop.prefix}sluiceway:hb:w:1")
    await ward.recoveries.look(every=False)
    assert (len(ward.deaths), ward.shop.ids()) == (1, [task])


async def test_dead_letters_are_counted(ward: Ward) -> None:
    ward.shop.send()
    for n in range(3):
        ward.shop.take(f"w{n}:1")
        ward.end(f"w{n}")
        await ward.recoveries.look()
    await ward.recoveries.look()
    assert ward.letters[-1] == 1
    assert [recovered.dead for _, recovered in ward.deaths] == [0, 0, 1]
    # The recovery itself has told of it.
    assert set(ward.untold) == {0}


async def test_dead_letters_that_workers_made_themselves_are_told_of_once(ward: Ward) -> None:
    """As of what a process of a worker's pool died of, while the worker lives."""

    async def count(letters: int) -> None:
        for _ in range(letters):
            ward.shop.send()
            ward.shop.take("v:1")
            ward.shop.recover("v:1", max_deliveries=1)
        ward.now += 60.0
        await ward.recoveries.look()

    for letters in (2, 0, 1, 0):  # those that are there at first may have been told of long ago
        await count(letters)
    assert list(zip(ward.letters, ward.untold, strict=True)) == [(2, 0), (2, 0), (3, 1), (3, 0)]

"""A primary behind Sentinel is deposed and does not know it, under work.

In turn it is cut off from Sentinels and replica, while workers and publishers still reach it;
and it freezes, and thaws when another leads. What it confirmed after that is forgotten by Redis
as soon as it hears of the other. Tasks of which something was forgotten are counted apart; all
others must run once, and each worker must find to the new primary by itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from benchmarks.common import Result
from benchmarks.field import Field, wait
from benchmarks.kills import local_mode, ready
from benchmarks.load import Load
from benchmarks.soak.failovers import told_apart
from benchmarks.soak.moving import ended
from benchmarks.soak.sentinels import INNER, Member, Servers, Standing, field_with_sentinels
from sluiceway_worker import wire

PAUSE_MS = 15_000
"""So long nobody writes to a deposed primary that is looked into. Publishers, who wait for five
seconds, are elsewhere by then; Sentinel makes it a replica when this is over."""

_STILL_S = 2
"""From a primary that says nothing for so long nothing is on its way any more."""


def run(times: int, seed: int) -> Result:
    """So often; ``again_s`` is seconds from when another leads until all workers take there."""
    with field_with_sentinels(fronted=True) as (field, servers):
        return asyncio.run(_run(field, servers, times, random.Random(seed)))


async def _run(field: Field, servers: Servers, times: int, chance: random.Random) -> Result:
    forgotten: set[str] = set()
    again_s: list[float] = []
    before = servers.epoch()
    async with local_mode(field) as local:
        await ready(local)
        with Load(field, chance) as load:
            for number in range(times):
                await asyncio.sleep(chance.uniform(2, 5))
                depose = freeze if number % 2 else cut_off
                forgotten |= await asyncio.to_thread(depose, servers, again_s.append)
                await ready(local)
            await asyncio.sleep(2)
        await asyncio.to_thread(field.settle, set(load.sent) - forgotten)
    return told_apart(field, load, forgotten) | {
        "ended": ended(local),
        # What Redis forgot by them is not told apart.
        "unasked_failovers": servers.epoch() - before - times,
        "again_s": again_s,
    }


def cut_off(servers: Servers, again: Callable[[float], None]) -> frozenset[str]:
    """Sentinels and replica do not reach the primary any more; all others do, and go on."""
    old, new = _roles(servers)
    assert old.front is not None
    old.front.hang(INNER)
    kept = _another_leads(servers, new, again)
    had = _last_standing(old)
    old.front.heal()
    servers.healthy()
    return had.differs(kept)


def freeze(servers: Servers, again: Callable[[float], None]) -> frozenset[str]:
    """It stands still, with all its connections, until another leads and all work there."""
    old, new = _roles(servers)
    old.freeze()
    try:
        kept = _another_leads(servers, new, again)
        had = servers.as_it_was(old)
    finally:
        old.thaw()
    # Until Sentinel tells it, it takes what publishers send who have not given it up.
    more = _last_standing(old).differs(had)
    servers.healthy()
    return had.differs(kept) | more


def _last_standing(old: Member) -> Standing:
    """What a deposed primary has that takes nothing more."""
    old.client.client_pause(PAUSE_MS, all=False)
    return Standing.of(old.client)


def _roles(servers: Servers) -> tuple[Member, Member]:
    servers.healthy()
    old = servers.primary
    assert old is not None, "they are healthy"
    return old, next(one for one in servers.members if one is not old)


def _another_leads(servers: Servers, new: Member, again: Callable[[float], None]) -> Standing:
    """What the replica has when nothing comes any more; it leads when this returns, and all
    workers have left the old one.

    Once it leads, whoever comes there at once would change what it has. Before that it hears
    of nothing for as long as Sentinel waits, which is longer than is looked for here.
    """

    def still() -> bool:
        return int(new.client.info("replication")["master_last_io_seconds_ago"]) >= _STILL_S

    wait(still, "nothing comes any more")
    kept, before = Standing.of(new.client), _connections(new)
    wait(lambda: servers.primary is new, "the replica leads")
    began = time.monotonic()
    # A heartbeat has its own connection, and may be there long before what takes.
    wait(lambda: not before & _connections(new), "all workers take there")
    again(round(time.monotonic() - began, 2))
    return kept


def _connections(member: Member) -> set[tuple[bytes, bytes]]:
    """Each worker, and what it wrote down when it last connected, by a server's books."""
    said: Any = member.client.hgetall(wire.holders_key(""))
    return set(said.items())

"""Another server behind the broker's address: what is read, and what wakes, is of whoever leads.

Nobody need cut the connection to the old one. It may be a replica by now, or live on without
its address and show for ever what was once so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.soak.proxy import Proxy
from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import RENEW_S, ROLE_EVERY_S, Broker
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.reading import BrokerQueue
from sluiceway.broker.wake import Waker
from tests.conftest import free_port


@pytest.fixture
def other(make_redis_server: Any) -> Any:
    """The server that the address leads to later."""
    return make_redis_server()


@pytest.fixture
def proxy(redis_server: Any, other: Any) -> Iterator[Proxy]:
    redis_server.client().lpush("video", "{}")
    proxy = Proxy(redis_server.port)
    yield proxy
    proxy.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Reads the length of one queue over a kept connection, by a clock of the test's."""

    def __init__(self, port: int) -> None:
        self.clock = Clock()
        self.broker = Broker(parse_address(f"redis://127.0.0.1:{port}/0"), clock=self.clock)

    async def length(self, *, after_s: float = 0.0) -> Any:
        self.clock.now += after_s
        return (await self.broker.run([("LLEN", "video")]))[0]


@pytest.fixture
async def reader(proxy: Proxy) -> Any:
    reader = Reader(proxy.port)
    yield reader
    await reader.broker.close()


async def test_a_server_that_does_not_lead_any_more_is_left_though_it_answers(
    reader: Reader, proxy: Proxy, redis_server: Any, other: Any
) -> None:
    assert await reader.length() == 1
    redis_server.client().replicaof("127.0.0.1", other.port)
    proxy.move(other.port)
    with pytest.raises(BrokerError, match="it is a replica"):
        await reader.length(after_s=ROLE_EVERY_S)
    assert await reader.length(after_s=1.0) == 0


async def test_one_that_lives_on_without_its_address_is_left(
    reader: Reader, proxy: Proxy, other: Any
) -> None:
    assert await reader.length() == 1
    proxy.move(other.port)
    assert await reader.length(after_s=ROLE_EVERY_S) == 1
    assert await reader.length(after_s=RENEW_S) == 0


async def test_while_the_address_leads_to_nobody_the_connection_that_stands_is_kept(
    reader: Reader, proxy: Proxy
) -> None:
    assert await reader.length() == 1
    proxy.move(free_port())
    assert await reader.length(after_s=RENEW_S) == 1
    assert await reader.length(after_s=ROLE_EVERY_S) == 1


async def test_a_replica_without_its_primary_shows_what_was_once_so_and_is_not_believed(
    reader: Reader, redis_server: Any
) -> None:
    redis_server.client().replicaof("127.0.0.1", free_port())
    with pytest.raises(BrokerError, match="what was once so"):
        await reader.length()
    redis_server.client().replicaof("NO", "ONE")
    assert await reader.length(after_s=1.0) == 1


async def test_one_that_refuses_to_be_read_is_asked_over_a_new_connection(
    reader: Reader, proxy: Proxy, redis_server: Any, other: Any
) -> None:
    assert await reader.length() == 1
    redis_server.client().config_set("replica-serve-stale-data", "no")
    redis_server.client().replicaof("127.0.0.1", free_port())
    proxy.move(other.port)
    with pytest.raises(BrokerError, match="lost its primary"):
        await reader.length()
    assert await reader.length(after_s=1.0) == 0


async def test_what_wakes_goes_where_the_address_leads(proxy: Proxy, other: Any) -> None:
    woken: asyncio.Queue[Any] = asyncio.Queue()
    queue = BrokerQueue(name="late")
    address = parse_address(f"redis://127.0.0.1:{proxy.port}/0")
    waker = Waker(address, woken.put_nowait, session_s=0.5)
    waker.arm(frozenset({queue}))
    waker.start()
    async with asyncio.timeout(60):
        await waker.tried.wait()
        proxy.move(other.port)
        other.client().lpush("late", "{}")
        assert await woken.get() == {queue}
    await waker.close()

"""Drain leases on a real server."""

from __future__ import annotations

import pytest

from sluiceway.broker.commands import hold_leases
from sluiceway.broker.errors import BrokerError
from sluiceway_worker.wire import DRAIN_LEASE_TTL_MS, drain_key


@pytest.fixture
def broker(a_fleet, brokers):
    return brokers.get(a_fleet("video").address)


async def test_leases_are_set_with_a_life_of_their_own_and_withdrawn(broker, redis_server):
    client = redis_server.client()
    await hold_leases(broker, prefix="shop:", asker="operator", hold=["a", "b"])
    key = drain_key("shop:", "a")
    assert client.get(key) == b"operator"
    assert 0 < client.pttl(key) <= DRAIN_LEASE_TTL_MS
    await hold_leases(broker, prefix="shop:", asker="operator", hold=["b"], withdraw=["a"])
    assert not client.exists(key)
    assert client.exists(drain_key("shop:", "b"))


async def test_holding_a_lease_again_renews_it(broker, redis_server):
    client = redis_server.client()
    await hold_leases(broker, prefix="", asker="operator", hold=["a"])
    client.pexpire(drain_key("", "a"), 100)
    await hold_leases(broker, prefix="", asker="operator", hold=["a"])
    assert client.pttl(drain_key("", "a")) > 1000


async def test_nothing_to_ask_needs_no_broker(broker, redis_server):
    redis_server.stop()
    await hold_leases(broker, prefix="", asker="operator")


async def test_a_full_brokers_workers_can_be_asked_all_the_same(broker, redis_server):
    client = redis_server.client()
    client.config_set("maxmemory", 1)
    await hold_leases(broker, prefix="", asker="operator", hold=["a"])
    assert client.exists(drain_key("", "a"))
    await hold_leases(broker, prefix="", asker="operator", withdraw=["a"])
    assert not client.exists(drain_key("", "a"))


async def test_a_broker_that_takes_no_commands_is_an_error_with_a_sentence(broker, redis_server):
    redis_server.client().execute_command("ACL", "SETUSER", "default", "-set")
    with pytest.raises(BrokerError, match="permission is missing"):
        await hold_leases(broker, prefix="", asker="operator", hold=["a"])
    redis_server.stop()
    with pytest.raises(BrokerError, match=str(redis_server.port)):
        await hold_leases(broker, prefix="", asker="operator", hold=["a"])


async def test_a_deposed_leader_neither_asks_nor_recalls_any_more(broker, redis_server):
    client = redis_server.client()
    await hold_leases(broker, prefix="", asker="second", epoch=2, hold=["a"])
    with pytest.raises(BrokerError, match="a later leader has asked"):
        await hold_leases(broker, prefix="", asker="first", epoch=1, hold=["b"], withdraw=["a"])
    assert client.get("sluiceway:drain:a") == b"second"
    assert client.get("sluiceway:drain:b") is None

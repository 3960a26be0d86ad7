"""The ACL that the documentation asks for is enough, and what is left out of it is named."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from sluiceway.broker.commands import forget_workers, hold_leases
from sluiceway.broker.holders import carry_out, read_holders
from sluiceway.broker.parked import release_due, stand_by
from sluiceway.observe import Waking
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, recovery
from sluiceway_worker.wire import (
    Holder,
    drain_key,
    held_key,
    holders_key,
    parked_bodies_key,
    parked_key,
    parked_lists_key,
    workers_key,
)

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "run-on-kubernetes.md"


def documented_rules() -> list[str]:
    """What follows ``on >…`` in the guide's ACL SETUSER."""
    found = re.search(r"ACL SETUSER sluiceway on >… (.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1).split()


def url_of(redis_server, rules: list[str]) -> str:
    redis_server.client().execute_command(
        "ACL", "SETUSER", "sluiceway", "reset", "on", ">secret", *rules
    )
    return f"redis://sluiceway:secret@127.0.0.1:{redis_server.port}/0"


async def test_with_the_documented_acl_the_operator_reads_asks_tidies_and_is_woken(
    a_fleet, brokers, reader, publish, redis_server
):
    # A fleet without heartbeats is read the most closely: what it holds, too.
    fleets = [
        a_fleet("video", url=url_of(redis_server, documented_rules())),
        a_fleet("plain", url=url_of(redis_server, documented_rules()), agent="none"),
    ]
    publish("video", priority=9, countdown=3600)
    publish("plain")
    held = '["{}", "plain", "plain"]'
    redis_server.client().hset("unacked", "tag", held)
    redis_server.client().zadd("unacked_index", {"tag": 1e9})
    reading = await reader.read(fleets)
    for fleet in fleets:
        facts = reading.of(fleet)
        assert facts.problem is None
        assert facts.facts is not None
        assert facts.facts.maxmemory_policy is not None
        assert facts.facts.persistent is not None
        assert all(queue.problem is None for queue in facts.queues.values())
        assert all(workers.problem is None for workers in facts.workers.values())
        assert all(held.problem is None for held in facts.held.values())

    broker = brokers.get(fleets[0].address)
    await hold_leases(broker, prefix="", asker="operator", epoch=1, hold=["a"], withdraw=["b"])
    assert redis_server.client().exists(drain_key("", "a"))
    redis_server.client().sadd(workers_key(""), "gone")
    assert await forget_workers(broker, prefix="", incarnations=["gone"]) == 1

    # And what a dead worker held comes back.
    plain = redis_server.client()
    plain.hset("unacked", "dead:1:1", '[{"headers": {"id": "x"}}, "", "video"]')
    plain.hset(held_key("", "dead:1"), "dead:1:1", "14:video")
    plain.hset(holders_key(""), "dead:1", Holder("", "", 1.0).to_text())
    assert "dead:1" in (await read_holders(broker, "", [])).there
    for died in (False, True):
        death = Death(incarnation="dead:1", at=2.0, blamed=died)
        done = await carry_out(broker, recovery(Place(), death, max_deliveries=2 - died))
        assert (done.returned, done.dead) == ((1, 0), (0, 1))[died]
        plain.hset("unacked", "dead:1:1", '[{"headers": {"id": "x"}}, "", "video"]')
        plain.hset(held_key("", "dead:1"), "dead:1:1", "14:video")

    # And what was parked, when it is due.
    plain.hset(parked_bodies_key("", "video"), "tag", "{}")
    plain.zadd(parked_key("", "video"), {"tag": 1.0})
    plain.zadd(parked_lists_key(""), {"video": 1.0})
    await stand_by(broker, prefix="", fleets=["shop/video"], asker="operator")
    assert (await reader.read(fleets)).due(fleets[0], 0.0) == ("video",)
    assert await release_due(broker, prefix="", lists=["video"], until=2.0) == 1

    waking = Waking(timeout_s=2.0)
    try:
        audio = a_fleet("audio", url=url_of(redis_server, documented_rules()))
        await waking.arm([audio], acting={audio.key})
        async with asyncio.timeout(30):
            waiting = asyncio.create_task(waking.wait(60))
            while not waiting.done():
                assert waking.problem(audio) is None
                redis_server.client().lpush("audio", "{}")
                await asyncio.sleep(0.05)
    finally:
        await waking.close()


@pytest.mark.parametrize("command", ["+llen", "+lindex", "+zcard", "+smembers"])
async def test_a_command_that_is_left_out_of_it_is_named(
    command, a_fleet, reader, publish, redis_server
):
    rules = [rule for rule in documented_rules() if rule != command]
    url = url_of(redis_server, rules)
    fleets = [a_fleet("video", url=url, agent="none"), a_fleet("audio", url=url)]
    publish("video")
    facts = (await reader.read(fleets)).of(fleets[0])
    parts = (*facts.queues.values(), *facts.held.values(), *facts.workers.values())
    said = " ".join(str(one.problem) for one in (facts, *parts))
    assert command.removeprefix("+") in said.lower()

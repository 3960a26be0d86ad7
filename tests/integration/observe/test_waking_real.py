"""A real server says that a queue changed, or the fleet is polled and that is said."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from sluiceway.observe import Waking
from sluiceway.observe.waking import POLL_S
from sluiceway_worker.wire import PRIORITY_SEP

LONG = 60.0
"""Longer than any test waits for a wake."""


@pytest.fixture
async def waking():
    waking = Waking(timeout_s=2.0)
    yield waking
    await waking.close()


@pytest.fixture
def armed(waking, until):
    """Arm fleets and return when their broker would wake them."""

    async def arm(*fleets, acting=None):
        keys = {fleet.key for fleet in fleets} if acting is None else acting
        await waking.arm(fleets, acting=keys)

        async def problems():
            return [waking.problem(fleet) for fleet in fleets]

        await until(problems, lambda found: not any(found))

    return arm


async def test_the_first_message_of_an_empty_queue_wakes_its_fleet_alone(
    a_fleet, waking, armed, redis_server
):
    video, audio = a_fleet("video"), a_fleet("audio")
    await armed(video, audio)
    waiting = asyncio.create_task(waking.wait(LONG))
    redis_server.client().lpush("video", "{}")
    assert await waiting == {video.key}


async def test_each_priority_key_wakes(a_fleet, waking, armed, redis_server):
    video = a_fleet("video")
    await armed(video)
    redis_server.client().lpush(f"video{PRIORITY_SEP}9", "{}")
    assert await waking.wait(LONG) == {video.key}


async def test_a_message_published_by_celery_wakes(a_fleet, waking, armed, publish):
    video = a_fleet("video")
    await armed(video)
    publish("video")
    assert await waking.wait(LONG) == {video.key}


async def test_a_second_message_wakes_again(a_fleet, waking, armed, redis_server):
    video = a_fleet("video")
    await armed(video)
    for _ in range(3):
        redis_server.client().lpush("video", "{}")
        assert await waking.wait(LONG) == {video.key}


async def test_a_queue_that_is_not_empty_when_it_is_armed_wakes_at_once(
    a_fleet, waking, redis_server
):
    video = a_fleet("video")
    redis_server.client().lpush("video", "{}")
    await waking.arm([video], acting={video.key})
    assert await waking.wait(LONG) == {video.key}


async def test_fleets_on_one_queue_wake_together(a_fleet, waking, armed, redis_server):
    one, two = a_fleet("one", queues=["shared"]), a_fleet("two", queues=["own", "shared"])
    await armed(one, two)
    redis_server.client().lpush("shared", "{}")
    assert await waking.wait(LONG) == {one.key, two.key}


async def test_a_fleet_that_could_not_act_is_not_woken(a_fleet, waking, armed, redis_server):
    video, paused = a_fleet("video"), a_fleet("paused")
    await armed(video, paused, acting={video.key})
    client = redis_server.client()
    client.lpush("paused", "{}")
    client.lpush("video", "{}")
    assert await waking.wait(LONG) == {video.key}


async def test_nothing_happening_is_an_empty_answer_after_the_time(a_fleet, waking, armed):
    await armed(a_fleet("video"))
    assert await waking.wait(0.05) == frozenset()


async def test_a_queue_that_workers_empty_at_once_wakes_nobody(
    a_fleet, waking, armed, redis_server
):
    video, audio = a_fleet("video"), a_fleet("audio")
    await armed(video, audio)
    with redis_server.client().pipeline(transaction=True) as pipe:
        pipe.lpush("video", "{}")
        pipe.rpop("video")
        pipe.lpush("audio", "{}")
        pipe.execute()
    assert await waking.wait(LONG) == {audio.key}


async def test_flushing_everything_arms_all_queues_anew(a_fleet, waking, armed, redis_server):
    video = a_fleet("video")
    await armed(video)
    redis_server.flush()
    assert video.key in await waking.wait(LONG)
    redis_server.client().lpush("video", "{}")
    assert await waking.wait(LONG) == {video.key}


async def test_a_cut_connection_is_replaced_and_armed_again(
    a_fleet, waking, armed, redis_server, until
):
    video = a_fleet("video")
    await armed(video)
    client = redis_server.client()
    client.client_kill_filter(_type="normal", skipme=True)
    client.lpush("video", "{}")
    # Whether by the poll or by the new arming: it comes up, and then it wakes again.
    assert await waking.wait(LONG) == {video.key}
    await armed(video)
    while await waking.wait(0.05):
        pass
    client.lpush("video", "{}")
    assert await waking.wait(LONG) == {video.key}


async def test_while_the_broker_is_down_armed_fleets_come_up_every_second(
    a_fleet, waking, armed, redis_server
):
    video = a_fleet("video")
    await armed(video)
    redis_server.stop()
    for _ in range(2):
        assert await waking.wait(LONG) == {video.key}
    assert f"127.0.0.1:{redis_server.port}" in waking.problem(video)
    redis_server.start()
    await armed(video)


async def test_where_tracking_is_refused_the_fleet_is_polled_and_says_so(
    a_fleet, waking, redis_server, until
):
    redis_server.client().execute_command("ACL", "SETUSER", "default", "-client|tracking")
    video = a_fleet("video")
    await waking.arm([video], acting={video.key})

    async def problem():
        return waking.problem(video)

    said = await until(problem, lambda p: "not connected yet" not in p)
    assert "refuses CLIENT TRACKING" in said
    assert "asked every second" in said
    started = time.monotonic()
    assert await waking.wait(LONG) == {video.key}
    assert time.monotonic() - started >= POLL_S / 2


async def test_one_queue_that_may_not_be_read_is_polled_and_the_others_wake(
    a_fleet, waking, armed, redis_server, until
):
    redis_server.client().execute_command(
        "ACL", "SETUSER", "eye", "reset", "on", ">p", "~video*", "+@all"
    )
    url = f"redis://eye:p@127.0.0.1:{redis_server.port}/0"
    video, secret = a_fleet("video", url=url), a_fleet("secret", url=url)
    await armed(video)
    await waking.arm([video, secret], acting={video.key, secret.key})

    async def problem():
        return waking.problem(secret)

    assert "refuses to watch it" in await until(problem, lambda p: p is not None)
    assert waking.problem(video) is None
    assert await waking.wait(LONG) == {secret.key}


async def test_thousands_of_pushes_in_a_row_are_taken(a_fleet, waking, armed, redis_server):
    fleets = [a_fleet(f"q{n}") for n in range(3000)]
    await armed(*fleets)
    with redis_server.client().pipeline(transaction=True) as pipe:
        for n in range(3000):
            pipe.lpush(f"q{n}", "{}")
        pipe.execute()
    woken: set[str] = set()
    async with asyncio.timeout(60):
        while len(woken) < 3000:
            woken |= await waking.wait(LONG)
    assert woken == {fleet.key for fleet in fleets}


async def test_brokers_that_no_fleet_uses_any_more_are_hung_up_on(
    a_fleet, waking, armed, redis_server, until
):
    video = a_fleet("video")
    await armed(video)
    client = redis_server.client()

    async def listeners():
        return [c for c in client.client_list() if "t" in c["flags"]]

    assert len(await listeners()) == 1
    waking.drop(video.key)
    await waking.arm([], acting=set())
    await until(listeners, lambda found: not found)


async def test_a_wake_reads_no_message(a_fleet, waking, armed, redis_server):
    video = a_fleet("video")
    await armed(video)
    client = redis_server.client()
    far = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    before = client.info("stats")["total_net_output_bytes"]
    client.lpush("video", json.dumps({"body": "A" * 1_000_000, "headers": {"eta": far}}))
    assert await waking.wait(LONG) == {video.key}
    assert client.info("stats")["total_net_output_bytes"] - before < 20_000

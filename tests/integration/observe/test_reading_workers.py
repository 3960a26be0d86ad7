"""What is seen of workers: their heartbeats, and what they took from a real broker."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluiceway.broker.commands import forget_workers
from sluiceway.decide.observation import WorkerState
from sluiceway.observe import RunningWorker
from sluiceway_worker.heartbeat import Heartbeat, TaskTimes
from sluiceway_worker.wire import HEARTBEAT_TTL_MS, heartbeat_key, workers_key

BEAT = Heartbeat(
    incarnation="video-1:a1",
    name="video-1",
    fleet="shop/video",
    queues=["video"],
    state="consuming",
    slots=4,
    active=2,
    reserved=1,
    scheduled=3,
    earliest_eta=1_900_000_000.0,
    running_for_s=12.0,
    processed=40,
    tasks={"tasks.work": TaskTimes(count=40, sum_s=80.0, sumsq_s2=200.0)},
    up_s=100.0,
)


@pytest.fixture
def beat(redis_server):
    """Write a heartbeat as a worker does: ``beat(heartbeat, ttl_ms=...)``."""

    def write(heartbeat: Heartbeat, *, ttl_ms: int = HEARTBEAT_TTL_MS, prefix: str = "") -> None:
        client = redis_server.client()
        client.sadd(workers_key(prefix), heartbeat.incarnation)
        key = heartbeat_key(prefix, heartbeat.incarnation)
        client.set(key, heartbeat.to_json(), px=ttl_ms)

    return write


@pytest.fixture
def take(redis_server):
    """Take a queue's oldest message as kombu does, into ``unacked``; returns its tag."""

    def move(queue: str, score: float, *, exchange: str = "", prefix: str = "") -> str:
        client = redis_server.client()
        raw = client.rpop(f"{prefix}{queue}")
        tag = json.loads(raw)["properties"]["delivery_tag"]
        value = json.dumps([json.loads(raw), exchange, queue])
        client.zadd(f"{prefix}unacked_index", {tag: score})
        client.hset(f"{prefix}unacked", tag, value)
        return tag

    return move


@pytest.fixture
def ack(redis_server):
    def remove(tag: str) -> None:
        client = redis_server.client()
        client.zrem("unacked_index", tag)
        client.hdel("unacked", tag)

    return remove


def workers(*names: str) -> list[RunningWorker]:
    return [RunningWorker(name=name, created_at=0.0, ready=True) for name in names]


async def test_a_heartbeat_becomes_the_view_of_its_worker(a_fleet, look, beat):
    beat(BEAT, ttl_ms=HEARTBEAT_TTL_MS - 2000)
    observation = await look(a_fleet("video"), workers=workers("video-1", "video-2"))
    first, second = observation.workers
    assert (first.state, first.slots, first.active) == (WorkerState.CONSUMING, 4, 2)
    assert first.running_for_s == pytest.approx(14.0, abs=1.5)
    assert first.tasks["tasks.work"].sum_s == 80.0
    assert (second.state, second.incarnation) == (WorkerState.STARTING, None)
    assert observation.in_flight == 3


async def test_heartbeats_of_other_fleets_and_prefixes_are_not_counted(a_fleet, look, beat):
    beat(BEAT)
    beat(replace(BEAT, incarnation="audio-1:b", name="audio-1", fleet="shop/audio"))
    beat(replace(BEAT, incarnation="video-9:c", name="video-9", prefix="other:"), prefix="other:")
    fleets = [a_fleet("video"), a_fleet("video", keyPrefix="other:")]
    assert (await look(fleets[0], among=fleets)).in_flight == 3


async def test_after_a_restart_in_place_the_newer_incarnation_is_the_worker(a_fleet, look, beat):
    beat(BEAT, ttl_ms=9000)
    beat(replace(BEAT, incarnation="video-1:b2", active=0, reserved=0, up_s=0.5))
    observation = await look(a_fleet("video"), workers=workers("video-1"))
    assert observation.workers[0].incarnation == "video-1:b2"
    assert observation.in_flight == 0


async def test_a_heartbeat_of_an_unknown_form_makes_the_fleet_unknown(a_fleet, look, redis_server):
    client = redis_server.client()
    client.sadd(workers_key(""), "odd")
    client.set(heartbeat_key("", "odd"), "{}")
    observation = await look(a_fleet("video"))
    assert "sluiceway:hb:odd cannot be understood" in observation.broker_problem


async def test_incarnations_without_a_heartbeat_are_forgotten_and_living_ones_kept(
    a_fleet, reader, brokers, beat, redis_server
):
    beat(BEAT)
    redis_server.client().sadd(workers_key(""), "video-0:gone")
    fleet = a_fleet("video")
    dead = (await reader.read([fleet])).of(fleet).workers[""].dead
    assert dead == ("video-0:gone",)
    broker = brokers.get(fleet.address)
    asked = [*dead, BEAT.incarnation]
    assert await forget_workers(broker, prefix="", incarnations=asked) == 1
    assert redis_server.client().smembers(workers_key("")) == {BEAT.incarnation.encode()}


async def test_without_an_agent_in_flight_work_is_told_apart_by_queue(
    a_fleet, look, publish, take, ack
):
    for queue in ("video", "video", "audio"):
        publish(queue)
    video, audio = (a_fleet(name, agent="none") for name in ("video", "audio"))
    fleets = [video, audio]
    tags = [take("video", 10.0), take("video", 11.0), take("audio", 12.0)]
    observation = await look(video, among=fleets)
    assert (observation.in_flight, observation.unacked) == (2, 3)
    assert not observation.workers_report
    assert (await look(audio, among=fleets)).in_flight == 1
    ack(tags[0])
    assert (await look(video, among=fleets)).in_flight == 1


async def test_a_held_message_whose_queue_cannot_be_told_leaves_in_flight_unknown(
    a_fleet, look, publish, take
):
    publish("video")
    take("video", 10.0, exchange="media")
    observation = await look(a_fleet("video", agent="none"))
    assert (observation.in_flight, observation.unacked) == (None, 1)


async def test_a_large_held_message_stays_unopened(a_fleet, look, publish, take):
    publish("video", args=["x" * 70_000])
    take("video", 10.0)
    observation = await look(a_fleet("video", agent="none"))
    assert (observation.in_flight, observation.unacked) == (None, 1)


async def test_unacked_is_walked_in_pages_to_its_end(a_fleet, look, redis_server):
    client = redis_server.client()
    held = {f"tag-{n}": float(n // 3) for n in range(1200)}
    client.zadd("unacked_index", held)
    client.hset(
        "unacked",
        mapping={
            tag: f'[{{"body": ""}}, "", "{"video" if n % 2 else "audio"}"]'
            for n, tag in enumerate(held)
        },
    )
    fleet = a_fleet("video", agent="none")
    assert (await look(fleet)).in_flight is None
    assert (await look(fleet)).in_flight is None
    assert (await look(fleet)).in_flight == 600
    gone = [tag for n, tag in enumerate(held) if n % 4 == 1]
    client.zrem("unacked_index", *gone)
    client.hdel("unacked", *gone)
    for _ in range(3):
        observation = await look(fleet)
    assert observation.in_flight == 300


async def test_what_is_known_of_unacked_is_not_opened_again(a_fleet, look, redis_server):
    client = redis_server.client()
    client.zadd("unacked_index", {f"tag-{n}": n for n in range(400)})
    client.hset("unacked", mapping={f"tag-{n}": '[{}, "", "video"]' for n in range(400)})
    fleet = a_fleet("video", agent="none")
    await look(fleet)
    client.config_resetstat()
    assert (await look(fleet)).in_flight == 400
    calls = client.info("commandstats")
    assert "cmdstat_hget" not in calls
    assert "cmdstat_hstrlen" not in calls


async def test_with_agents_unacked_is_counted_and_never_opened(
    a_fleet, look, publish, take, redis_server
):
    publish("video")
    take("video", 10.0)
    redis_server.client().config_resetstat()
    observation = await look(a_fleet("video"))
    assert (observation.unacked, observation.in_flight) == (1, 0)
    calls = redis_server.client().info("commandstats")
    assert calls["cmdstat_zcard"]["calls"] == 1
    assert "cmdstat_hget" not in calls


async def test_a_look_at_some_fleets_forgets_nothing_of_the_others(a_fleet, look, redis_server):
    client = redis_server.client()
    client.zadd("unacked_index", {f"tag-{n}": n for n in range(600)})
    client.hset("unacked", mapping={f"tag-{n}": '[{}, "", "video"]' for n in range(600)})
    video, other = a_fleet("video", agent="none"), a_fleet("other", keyPrefix="other:")
    elsewhere = a_fleet("video", url=redis_server.url_of(1))
    await look(video)
    await look(video)
    for fleet in (other, elsewhere):
        await look(fleet)
    assert (await look(video)).in_flight == 600

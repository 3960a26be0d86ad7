"""Parked messages on a real server: read with everything else, brought back, listed by command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sluiceway.act.unpark import unpark
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.parked import (
    lists_of,
    parked_messages,
    release_all,
    release_due,
    release_one,
    stand_by,
)
from sluiceway.cli.main import app
from sluiceway.cli.output import CommandError
from sluiceway_worker import parked, wire

EARLY, LATE = 1_764_000_000.0, 1_764_003_600.123456


@pytest.fixture
def park(redis_server):
    """Park a message as a worker does: ``park("video", EARLY, id="…")``; its bytes."""
    client = redis_server.client()

    def park(source, eta, *, task_id, prefix=""):
        message = json.dumps(
            {"body": "W1tdXQ==", "headers": {"id": task_id, "task": "shop.work", "n": [1.10, {}]}}
        ).encode()
        tail = f', "", "{source}"]'
        client.hset("unacked", task_id, b"[" + message + tail.encode())
        client.set("stands-by", "")
        lists, bodies, _, registry = parked.keys_of(prefix, source)
        keys = ["unacked", "unacked_index", "held", lists, bodies, registry, "stands-by"]
        args = [task_id, "", "", len(tail), tail, eta, source]
        assert client.eval(parked.PARK, len(keys), *keys, *args) == parked.PARKED
        return message

    return park


@pytest.fixture
def eta(redis_server):
    """``eta("list", …)``: the lines that it writes."""

    def eta(*words):
        result = CliRunner().invoke(app, ["eta", *words, "--url", redis_server.url])
        if result.exception is not None:
            raise result.exception
        return result.stdout.splitlines()

    return eta


async def test_what_is_parked_is_seen_apart_from_what_waits_over_all_priorities(
    a_fleet, look, publish, park
):
    fleet, other = a_fleet("video"), a_fleet("audio")
    publish("video")
    for number in range(60):
        park("video", LATE + number, task_id=f"v{number}")
    park(lists_of(fleet.broker_queues)[2], EARLY, task_id="urgent")
    park("audio", LATE, task_id="a")

    (queue,) = (await look(fleet, among=[fleet, other])).queues

    assert (queue.length, queue.parked) == (1, 61)
    assert queue.parked_etas[:2] == (EARLY, LATE)
    assert len(queue.parked_etas) == 51
    assert (await look(other)).queues[0].parked_etas == (LATE,)


async def test_messages_of_another_application_of_the_database_are_not_seen(a_fleet, look, park):
    park("video", LATE, task_id="a", prefix="other:")
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.parked == 0


async def test_where_it_cannot_be_read_nothing_is_known(a_fleet, look, redis_server):
    redis_server.client().set(wire.parked_lists_key(""), "no sorted set")
    observation = await look(a_fleet("video"))
    assert "parked messages" in (observation.broker_problem or "")


async def test_only_what_is_due_is_brought_back_once_to_the_head_unchanged(
    a_fleet, brokers, reader, redis_server, park
):
    fleet = a_fleet("video")
    client, broker = redis_server.client(), brokers.get(fleet.address)
    client.lpush("video", "waits already")
    second, first = park("video", EARLY + 1, task_id="b"), park("video", EARLY, task_id="a")
    park("video", 9e9, task_id="far")

    reading = await reader.read([fleet])
    assert reading.due(fleet, 0.0) == ("video",)
    for moved in (2, 0):
        assert await release_due(broker, prefix="", lists=["video"], until=EARLY + 2) == moved

    assert client.lrange("video", 0, -1) == [b"waits already", second, first]
    assert (await reader.read([fleet])).due(fleet, 0.0) == ()
    assert await release_all(broker, prefix="", lists=["video"]) == 1
    assert not client.keys("*sluiceway:parked*")


async def test_a_fleet_that_is_gone_leaves_nothing_parked_and_its_workers_park_no_more(
    a_fleet, brokers, redis_server, park
):
    fleet = a_fleet("video")
    client, broker = redis_server.client(), brokers.get(fleet.address)
    await stand_by(broker, prefix="", fleets=[fleet.key], asker="operator")
    assert 0 < client.pttl(wire.parking_key("", fleet.key)) <= wire.PARKING_TTL_MS
    for number in range(250):
        park("video", LATE, task_id=f"v{number}")
    park("audio", LATE, task_id="another's")

    moved = await unpark(broker, fleet=fleet.key, prefix="", queues=fleet.broker_queues)

    assert moved == client.llen("video") == 250
    assert not client.exists(wire.parking_key("", fleet.key))
    assert [one.list for one in await parked_messages(broker, prefix="")] == ["audio"]


async def test_a_broker_that_is_away_when_a_fleet_goes_is_tried_again_and_then_told(
    a_fleet, brokers, redis_server, caplog
):
    fleet = a_fleet("video")
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    redis_server.stop()
    broker = brokers.get(fleet.address)
    queues = fleet.broker_queues
    assert await unpark(broker, fleet=fleet.key, prefix="", queues=queues, sleep=sleep) == 0
    assert len(pauses) == 2
    assert "sluiceway eta release --url" in caplog.text


@pytest.mark.parametrize("command", ["-rpush", "-zadd", "-zrem", "-hget", "-zrange"])
async def test_with_rights_cut_short_nothing_is_lost_and_nothing_is_doubled(
    command, a_fleet, brokers, redis_server, park
):
    fleet = a_fleet("video")
    client, broker = redis_server.client(), brokers.get(fleet.address)
    message = park("video", EARLY, task_id="a")
    client.execute_command("ACL", "SETUSER", "default", command)
    for _ in range(3):
        with pytest.raises(BrokerError):
            await release_due(broker, prefix="", lists=["video"], until=EARLY)
    client.execute_command("ACL", "SETUSER", "default", "+@all")
    await release_due(broker, prefix="", lists=["video"], until=EARLY)
    assert client.lrange("video", 0, -1) == [message]
    assert not client.hlen(wire.parked_bodies_key("", "video"))


def test_each_is_a_line_with_its_eta_its_task_and_its_list(eta, park):
    park("video", LATE, task_id="late-1")
    park("audio", EARLY, task_id="early-1")
    early, late = eta("list")
    for part in ("2025-11-24T16:00:00Z", "early-1", "shop.work", "audio"):
        assert part in early
    assert eta("list", "-q", "video") == eta("list", "-q", "shop/video") == [late]
    (line,) = eta("list", "late", "-o", "json")
    assert json.loads(line)["eta"] == "2025-11-24T17:00:00Z"


def test_one_is_released_or_all_of_them_and_a_second_time_none(eta, park, redis_server):
    client = redis_server.client()
    messages = [park("video", LATE + n, task_id=f"v{n}") for n in range(3)]
    assert eta("release", "v1") == ["1 released"]
    assert client.lrange("video", 0, -1) == [messages[1]]
    with pytest.raises(CommandError, match="no parked message of v1"):
        eta("release", "v1")
    assert eta("release", "--all") == ["2 released"]
    assert client.lrange("video", 0, -1) == [messages[1], messages[2], messages[0]]
    assert eta("release", "--all") == ["0 released"]
    assert eta("list") == []


@pytest.mark.parametrize("words", [[""], ["v"], ["v1", "nobody"]])
def test_where_it_is_not_clear_which_are_meant_none_is_dropped(words, eta, park):
    for number in range(2):
        park("video", LATE, task_id=f"v{number}")
    with pytest.raises(CommandError):
        eta("drop", *words)
    assert len(eta("list")) == 2


def test_what_is_not_wanted_any_more_is_dropped_for_good(eta, park, redis_server):
    client = redis_server.client()
    for source in ("video", "audio"):
        park(source, LATE, task_id=f"{source}-1")
    kept = park("video", LATE + 1, task_id="video-2")
    assert eta("drop", "video-1", "audio") == ["2 dropped"]
    assert not client.exists("video", "audio")
    # Only what is left is due some time.
    assert client.zrange(wire.parked_lists_key(""), 0, -1, withscores=True) == [
        (b"video", LATE + 1)
    ]
    assert client.hvals(wire.parked_bodies_key("", "video")) == [kept]
    assert eta("drop", "--all") == ["1 dropped"]
    assert not client.keys("sluiceway:parked*")
    with pytest.raises(CommandError, match="no parked message of video-1"):
        eta("drop", "video-1")


@pytest.mark.parametrize("action", ["release", "drop"])
def test_one_that_names_nothing_is_refused(action, eta):
    with pytest.raises(CommandError, match=f"{action} which.*write --all"):
        eta(action)


async def test_what_was_released_meanwhile_is_no_error(a_fleet, brokers, park):
    broker = brokers.get(a_fleet("video").address)
    park("video", LATE, task_id="a")
    (found,) = await parked_messages(broker, prefix="")
    assert await release_one(broker, prefix="", parked=found)
    assert not await release_one(broker, prefix="", parked=found)

"""What the read script says of queues that Celery filled."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio.connection import AbstractConnection

from sluiceway.broker.gauge import LARGE_HEAD_EVERY_S, PEEK, Gauge, Request
from sluiceway.observe import BrokerReader
from sluiceway_worker.wire import PRIORITY_SEP, STAMP_HEADER


async def test_the_length_is_summed_over_the_priority_keys(a_fleet, publish, look):
    for priority in (0, 0, 3, 6, 9, 9):
        publish("video", priority=priority)
    observation = await look(a_fleet("video"))
    assert observation.known
    assert [(q.name, q.length) for q in observation.queues] == [("video", 6)]


async def test_an_empty_queue_has_length_zero_and_no_waiting_time(a_fleet, look):
    observation = await look(a_fleet("video"))
    (queue,) = observation.queues
    assert (queue.length, queue.oldest_wait_s, queue.head_eta, queue.problem) == (
        0,
        None,
        None,
        None,
    )
    assert observation.unacked == 0


async def test_every_queue_of_a_fleet_is_seen_and_no_other(a_fleet, publish, look):
    for queue in ("video", "audio", "audio", "elsewhere"):
        publish(queue)
    observation = await look(a_fleet("media", queues=["audio", "video"]))
    assert [(q.name, q.length) for q in observation.queues] == [("audio", 2), ("video", 1)]


async def test_key_prefix_steps_and_separator_of_the_application_are_honoured(
    a_fleet, publish, look
):
    options = {"global_keyprefix": "shop:", "priority_steps": [0, 5], "sep": ":"}
    for priority in (0, 4, 5, 9):
        publish("video", priority=priority, options=options)
    fleet = a_fleet("video", keyPrefix="shop:", prioritySteps=[0, 5], separator=":")
    observation = await look(fleet)
    assert observation.queues[0].length == 4
    assert (await look(a_fleet("video"))).queues[0].length == 0


async def test_fleets_of_different_prefixes_share_one_look(a_fleet, publish, look):
    publish("video", options={"global_keyprefix": "a:"})
    publish("video")
    publish("video")
    a, bare = a_fleet("video", keyPrefix="a:"), a_fleet("video")
    assert (await look(a, among=[a, bare])).queues[0].length == 1
    assert (await look(bare, among=[a, bare])).queues[0].length == 2


async def test_each_database_is_its_own_broker(a_fleet, look, redis_server):
    redis_server.client(db=7).lpush("video", "{}")
    here, there = a_fleet("video"), a_fleet("video", url=redis_server.url_of(7))
    assert (await look(here, among=[here, there])).queues[0].length == 0
    assert (await look(there, among=[here, there])).queues[0].length == 1


async def test_the_oldest_wait_counts_from_the_publish_stamp(a_fleet, publish, look):
    publish("video", headers={STAMP_HEADER: time.time() - 100})
    publish("video", headers={STAMP_HEADER: time.time() - 1})
    publish("video", headers={STAMP_HEADER: time.time() - 300}, priority=9)
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.oldest_wait_s == pytest.approx(300, abs=20)
    assert queue.oldest_wait_is_exact


async def test_an_eta_that_has_passed_starts_the_wait(a_fleet, publish, look):
    eta = datetime.now(UTC) - timedelta(seconds=50)
    publish("video", headers={STAMP_HEADER: time.time() - 500}, eta=eta)
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.oldest_wait_s == pytest.approx(50, abs=20)


async def test_a_future_eta_is_scheduled_and_does_not_wait(a_fleet, publish, look):
    eta = datetime.now(UTC) + timedelta(hours=1)
    publish("video", eta=eta)
    (queue,) = (await look(a_fleet("video"))).queues
    assert (queue.length, queue.oldest_wait_s) == (1, None)
    assert queue.head_eta == pytest.approx(eta.timestamp(), abs=0.001)


async def test_a_message_that_waits_is_found_behind_those_for_later(a_fleet, publish, look):
    etas = [datetime.now(UTC) + timedelta(hours=hours) for hours in (3, 1, 2)]
    for eta in etas:
        publish("video", eta=eta)
    publish("video", headers={STAMP_HEADER: time.time() - 70})
    publish("video", eta=etas[0])
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.length == 5
    assert queue.oldest_wait_s == pytest.approx(70, abs=20)
    assert queue.oldest_wait_is_exact
    assert queue.later_etas == pytest.approx(sorted(eta.timestamp() for eta in etas), abs=0.001)


async def test_beyond_the_messages_looked_at_nothing_is_called_later(a_fleet, look, redis_server):
    far = json.dumps({"headers": {"id": "1", "eta": "2999-01-01T00:00:00+00:00"}})
    redis_server.client().lpush("video", *[far] * (PEEK + 5))
    (queue,) = (await look(a_fleet("video"))).queues
    assert (queue.length, len(queue.later_etas)) == (PEEK + 5, PEEK)
    assert queue.oldest_wait_s is None
    assert not queue.oldest_wait_is_exact


async def test_a_stamp_from_a_clock_that_is_ahead_gives_no_negative_wait(a_fleet, publish, look):
    publish("video", headers={STAMP_HEADER: time.time() + 1000})
    assert (await look(a_fleet("video"))).queues[0].oldest_wait_s == 0


async def test_arguments_that_look_like_headers_are_not_believed(a_fleet, publish, look):
    lure = f'"eta": "2999-01-01T00:00:00+00:00", "{STAMP_HEADER}": 1.0, "headers": {{"id": "x"}}'
    publish("video", args=[lure, {"eta": lure}], headers={"nested": {STAMP_HEADER: 1.0}})
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.head_eta is None
    assert not queue.oldest_wait_is_exact


async def test_a_restored_message_keeps_its_stamp(a_fleet, publish, look, redis_server):
    publish("video", headers={STAMP_HEADER: time.time() - 100})
    client = redis_server.client()
    message = json.loads(client.rpop("video"))
    message["headers"]["redelivered"] = True
    client.rpush("video", json.dumps(message))
    (queue,) = (await look(a_fleet("video"))).queues
    assert queue.oldest_wait_s == pytest.approx(100, abs=20)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "no json at all",
        '{"headers": {"eta": ',
        '{"headers": 5}',
        "[]",
        '{"headers": {"eta": 7}}',
    ],
)
async def test_a_message_that_nobody_can_read_still_counts(a_fleet, look, redis_server, raw):
    redis_server.client().lpush("video", raw)
    (queue,) = (await look(a_fleet("video"))).queues
    assert (queue.length, queue.problem) == (1, None)


async def test_no_message_body_crosses_the_wire(a_fleet, look, redis_server):
    body = "A" * 1_000_000
    message = json.dumps({"body": body, "headers": {"id": "1", "eta": None}, "properties": {}})
    client = redis_server.client()
    for step in ("", f"{PRIORITY_SEP}3", f"{PRIORITY_SEP}6", f"{PRIORITY_SEP}9"):
        client.lpush(f"video{step}", message)
    fleet = a_fleet("video")
    await look(fleet)
    before = client.info("stats")["total_net_output_bytes"]
    assert (await look(fleet)).queues[0].length == 4
    # The whole look, and the two answers to INFO (some kB each) around it.
    assert client.info("stats")["total_net_output_bytes"] - before < 20_000


async def test_a_large_head_is_opened_rarely_and_counted_always(
    a_fleet, publish, brokers, redis_server
):
    def message(size: int, stamp: float) -> str:
        headers = {"id": f"{stamp}", STAMP_HEADER: stamp}
        return json.dumps({"body": "A" * size, "headers": headers})

    fleet = a_fleet("video")
    now = 0.0
    gauge = Gauge(brokers.get(fleet.address), clock=lambda: now)
    request = Request(queues=frozenset(fleet.broker_queues))
    client = redis_server.client()
    client.lpush("video", message(1_100_000, 1.0))

    async def head():
        (facts,) = (await gauge.read(request)).queues.values()
        return facts.length, facts.heads[0].published

    assert await head() == (1, 1.0)
    client.lpush("video", message(10, 2.0))
    now = LARGE_HEAD_EVERY_S - 0.1
    assert await head() == (2, 1.0)
    client.rpop("video")
    now = LARGE_HEAD_EVERY_S + 0.1
    assert await head() == (1, 2.0)
    now += 0.1
    assert await head() == (1, 2.0)


async def test_a_thousand_queues_are_one_write_and_one_answer(
    a_fleet, brokers, redis_server, monkeypatch
):
    fleets = [a_fleet(f"q{n}") for n in range(1000)]
    client = redis_server.client()
    client.lpush("q0", "{}")
    client.lpush(f"q999{PRIORITY_SEP}9", "{}")
    reader = BrokerReader(brokers)
    await reader.read(fleets)

    sent = []
    send = AbstractConnection.send_packed_command

    async def counting(connection, *args, **kwargs):
        sent.append(connection)
        await send(connection, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counting)
    reading = await reader.read(fleets)
    assert len(sent) == 1
    lengths = [facts.length for facts in reading.of(fleets[0]).queues.values()]
    assert (len(lengths), sum(lengths)) == (1000, 2)

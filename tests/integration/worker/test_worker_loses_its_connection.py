"""A lost connection or a restarted broker: nothing is lost, run twice or left behind.

The brokers here keep their data on disk, as a broker that is restarted must.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sluiceway_worker import wire

POOLS = ["prefork", "threads", "gevent", "solo"]


@pytest.fixture
def redis_server(make_redis_server: Any) -> Any:
    return make_redis_server(appendonly="yes", appendfsync="always")


@pytest.fixture
def cut(queue: Any, wait_for: Any) -> Callable[..., None]:
    """Cut all connections, and wait until these workers have noticed."""

    def cut(*workers: Any) -> None:
        before = {worker: losses(worker) for worker in workers}
        for kind in ("normal", "pubsub"):
            queue.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        for worker, count in before.items():
            wait_for(lambda w=worker, c=count: losses(w) > c, "the loss is seen")

    return cut


def losses(worker: Any) -> int:
    return str(worker.log.read_text()).count("Connection to broker lost")


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_runs_when_the_connection_is_lost_is_given_to_nobody_else(
    pool: str, queue: Any, start_worker: Any, records: Any, cut: Any, wait_for: Any
) -> None:
    busy = start_worker("-c", "2", "-P", pool)
    running = queue.send("work", 6)
    records.wait_for("started", running)
    start_worker("-c", "1")
    # Solo sees nothing while it runs a task.
    cut(*([] if pool == "solo" else [busy]))
    next_one = queue.send()
    records.wait_for("finished", next_one, running)
    wait_for(queue.empty, "acknowledged over the new connection")
    assert records.of("started") == {running: 1, next_one: 1}
    busy.says(state=wire.CONSUMING, active=0)


def test_also_when_the_connection_is_lost_again_and_again(
    queue: Any, start_worker: Any, records: Any, cut: Any, wait_for: Any
) -> None:
    busy = start_worker("-c", "2")
    running = queue.send("work", 15)
    records.wait_for("started", running)
    start_worker("-c", "1")
    for _ in range(2):
        cut(busy)
        wait_for(
            # One watches, one sleeps.
            lambda: {c["cmd"] for c in queue.redis.client_list()} >= {"exists", "blpop"},
            "both are connected again and wait for tasks",
        )
    records.wait_for("finished", running)
    wait_for(queue.empty, "acknowledged over the last connection")
    assert records.of("started") == {running: 1}


def test_an_application_that_has_its_runs_cancelled_with_the_connection_gets_them_again(
    queue: Any, start_worker: Any, records: Any, cut: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "2", TEST_CANCEL="1")
    task = queue.send("work", 5)
    records.wait_for("started", task)
    cut(worker)
    records.wait_for("finished", task)
    wait_for(queue.empty, "acknowledged")
    assert (records.of("started")[task], records.of("finished")[task]) == (2, 1)


def test_what_a_busy_worker_only_reserved_goes_to_another_at_once_and_unmarked(
    queue: Any, start_worker: Any, records: Any, cut: Any
) -> None:
    busy = start_worker("-c", "1", "--prefetch-multiplier", "4", SLUICEWAY_ACKS="late")
    other = start_worker("-c", "1")
    other.ask_to_drain(ttl_ms=600_000)
    other.says(state=wire.DRAINED)
    running = queue.send("work", 10)
    records.wait_for("started", running)
    later = queue.send("work", 0, countdown=600)
    waiting = [queue.send() for _ in range(3)]
    busy.says(active=1, reserved=3, scheduled=1)
    busy.ask_to_drain(ttl_ms=600_000)
    cut(busy)
    other.says(state=wire.DRAINED)
    busy.says(state=wire.DRAINING, active=1, scheduled=0)
    messages = queue.waiting()
    there = [json.loads(message)["headers"]["id"] for message in messages]
    # One may have been handed to the pool anew before the order to drain was read.
    assert there == [one for one in (later, *waiting) if one in there]
    assert later in there
    assert len(there) >= len(waiting)
    assert not any(b"redelivered" in message for message in messages)
    assert not records.of("finished")
    other.recall()
    records.wait_for("finished", *waiting)
    records.wait_for("finished", running)
    assert busy.says(state=wire.DRAINED).processed in (1, 2)
    assert set(records.of("started").values()) == {1}


@pytest.mark.parametrize("pool", POOLS)
def test_a_restarted_broker_leaves_nothing_behind(
    pool: str, queue: Any, start_worker: Any, records: Any, redis_server: Any, wait_for: Any
) -> None:
    """A task that is held for later, and one that ends while the broker is away."""
    worker = start_worker("-c", "1", "-P", pool)
    later = queue.send("work", 0, countdown=12)
    worker.says(scheduled=1)
    running = queue.send("work", 4)
    records.wait_for("started", running)
    redis_server.stop()
    records.wait_for("finished", running)
    redis_server.start()
    records.wait_for("finished", later)
    wait_for(queue.empty, "all acknowledged")
    assert records.of("started") == {running: 1, later: 1}


def test_a_task_that_outlives_the_restart_of_the_broker_runs_once(
    queue: Any, start_worker: Any, records: Any, redis_server: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 10)
    records.wait_for("started", running)
    redis_server.stop()
    wait_for(lambda: losses(worker), "the loss is seen")
    redis_server.start()
    start_worker("-c", "1")
    records.wait_for("finished", running)
    wait_for(queue.empty, "acknowledged")
    assert records.of("started") == {running: 1}


def test_a_worker_that_stops_while_the_broker_restarts_leaves_nothing_behind(
    queue: Any, start_worker: Any, records: Any, redis_server: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "2", "--prefetch-multiplier", "4")
    running = queue.send("work", 8)
    records.wait_for("started", running)
    later = queue.send("work", 0, countdown=600)
    worker.says(scheduled=1)
    redis_server.stop()
    wait_for(lambda: losses(worker), "the loss is seen")
    worker.terminate()
    redis_server.start()
    worker.ends()
    records.wait_for("finished", running)
    assert queue.unacked() == 0
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == [later]


def test_a_message_that_the_broker_refuses_to_write_down_is_not_lost(
    queue: Any, start_worker: Any, redis_server: Any, wait_for: Any
) -> None:
    acl = queue.redis.execute_command
    acl("ACL", "SETUSER", "shop", "on", ">secret", "~*", "&*", "+@all")
    url = redis_server.url.replace("redis://", "redis://shop:secret@")
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url)
    acl("ACL", "SETUSER", "shop", "-zadd")
    task = queue.send()
    worker.ends()
    assert [json.loads(m)["headers"]["id"] for m in queue.waiting()] == [task]
    assert queue.unacked() == 0


def test_an_agent_that_breaks_leaves_nothing_that_it_was_to_give_back(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", ready=False, TEST_BREAK_AGENT="giving back")
    worker.may_break = True
    worker.says(state=wire.CONSUMING)
    later = queue.send("work", 0, countdown=8)
    worker.says(scheduled=1)
    worker.ask_to_drain()
    wait_for(lambda: "agent gives up" in worker.log.read_text(), "it breaks")
    records.wait_for("finished", later)
    wait_for(queue.empty, "nothing held any more")
    assert records.of("started") == {later: 1}

"""Workers that take by script: what that gives to whoever runs tasks on them."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
import redis
from celery import Celery

from sluiceway_worker import wire


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_is_killed_under_load_loses_no_message_and_its_holdings_tell_of_it(
    pool: str, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    tasks = [queue.send("nothing") for _ in range(3000)]
    worker = start_worker("-c", "2", "-P", pool)
    wait_for(lambda: queue.length() < len(tasks) - 100, "it works")
    incarnation = worker.incarnation()
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.ends()
    held = set(queue.redis.hkeys(wire.held_key("", incarnation)))
    assert set(queue.redis.hkeys("unacked")) <= held
    assert queue.length() > 0
    holder = queue.redis.hget(wire.holders_key(""), incarnation)
    assert wire.Holder.from_text(holder).fleet == "test/work"


def test_a_task_longer_than_the_visibility_timeout_runs_once(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    for _ in range(2):
        start_worker("-c", "1", TEST_VISIBILITY_S="4")
    long = queue.send("work", 12)
    held = Celery(broker=f"redis://127.0.0.1:{queue.redis.get_connection_kwargs()['port']}/0")
    held.conf.broker_transport_options = {"visibility_timeout": 4, "unacked_restore_throttle": 1}
    with held.connection_for_read() as connection:
        qos = connection.default_channel.qos
        while not records.of("finished"):
            qos.restore_visible(interval=1)
    wait_for(queue.empty, "acknowledged")
    assert records.of("started") == {long: 1}


def test_a_worker_that_was_frozen_starts_nothing_that_was_given_to_another_meanwhile(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    frozen, other = start_worker("-c", "1"), start_worker("-c", "1")
    other.ask_to_drain(ttl_ms=600_000)
    other.says(state=wire.DRAINED)
    task = queue.send("work", 0, countdown=20)
    frozen.says(scheduled=1)
    frozen.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: frozen.heartbeat() is None, "its heartbeat is gone")
    # The visibility timeout passes over it.
    (tag,) = queue.redis.hkeys("unacked")
    with queue.app.connection_for_read() as connection:
        connection.default_channel.qos.restore_by_tag(tag.decode())
    other.recall()
    wait_for(lambda: queue.length() == 0, "the other has it")
    frozen.process.send_signal(signal.SIGCONT)
    frozen.says(state=wire.CONSUMING, scheduled=0)
    records.wait_for("finished", task)
    wait_for(queue.empty, "acknowledged")
    assert records.of("started") == {task: 1}


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_what_came_back_though_it_had_succeeded_is_acknowledged_and_not_run_again(
    pool: str, queue: Any, start_worker: Any, records: Any, redis_server: Any, wait_for: Any
) -> None:
    backend = redis_server.url.replace("/0", "/1")
    done, undone = queue.send(), queue.send()
    with queue.app.connection_for_read() as connection:
        channel = connection.default_channel
        for _ in range(2):
            message = channel.basic_get("work")
            # As when a visibility timeout has passed over it.
            channel.qos.restore_by_tag(message.delivery_tag)
    result = {"status": "SUCCESS", "result": None, "traceback": None, "children": []}
    with redis.Redis.from_url(backend) as results:
        results.set(f"celery-task-meta-{done}", json.dumps({**result, "task_id": done}))
    start_worker("-c", "1", "-P", pool, CELERY_RESULT_BACKEND=backend)
    records.wait_for("finished", undone)
    wait_for(queue.empty, "acknowledged")
    assert records.of("started") == {undone: 1}
    assert not queue.redis.keys("*sluiceway:held:*")


def test_a_worker_on_kombus_own_way_works_beside_it(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    ours = start_worker("-c", "2")
    plain = start_worker("-c", "2", SLUICEWAY_TAKE="kombu")
    tasks = [queue.send("work", 0.05, priority=priority) for priority in (0, 3, 6, 9) * 10]
    records.wait_for("finished", *tasks)
    wait_for(queue.empty, "nothing left")
    assert set(records.of("started").values()) == {1}
    assert ours.says(active=0).processed > 0
    assert plain.says(active=0).processed > 0


def test_where_the_broker_refuses_a_part_of_the_scripts_it_takes_as_kombu_does_and_says_why(
    queue: Any, start_worker: Any, records: Any, redis_server: Any
) -> None:
    words = "ACL SETUSER shop on >secret ~* &* +@all -hkeys"
    queue.redis.execute_command(*words.split())
    url = redis_server.url.replace("redis://", "redis://shop:secret@")
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url)
    records.wait_for("finished", queue.send())
    assert "taken with BRPOP" in worker.log.read_text()


def test_a_worker_that_leaves_in_good_order_is_no_holder_any_more(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    records.wait_for("finished", queue.send())
    worker.says(processed=1, active=0)
    assert queue.redis.hlen(wire.holders_key("")) == 1
    worker.terminate()
    assert worker.ends() == 0
    assert queue.redis.keys("sluiceway:h*") == []

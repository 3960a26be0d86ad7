"""Broken agents, brokers that are away or refuse commands, children that come and go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluiceway_worker import wire
from sluiceway_worker.heartbeat import Heartbeat


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_an_agent_that_breaks_says_so_once_and_the_worker_works_and_stops_as_celery(
    pool: str, queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2", "-P", pool, ready=False, TEST_BREAK_AGENT="1")
    worker.may_break = True
    tasks = [queue.send() for _ in range(5)]
    records.wait_for("finished", *tasks)
    worker.terminate()
    assert worker.ends() == 0
    assert worker.log.read_text().count("agent gives up") == 1
    assert queue.empty()


def test_a_worker_whose_broker_is_away_can_still_be_stopped(
    start_worker: Any, redis_server: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    redis_server.stop()
    wait_for(lambda: "Connection to broker lost" in worker.log.read_text(), "the loss is seen")
    worker.terminate()
    worker.ends()


def test_a_broker_that_goes_away_during_the_stop_does_not_hold_the_worker(
    queue: Any, start_worker: Any, records: Any, redis_server: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 2)
    records.wait_for("started", running)
    worker.terminate()
    worker.says(state=wire.STOPPING)
    redis_server.stop()
    worker.ends()
    records.wait_for("finished", running)


def test_a_user_that_may_do_little_more_than_celery_needs_gets_a_drain_all_the_same(
    queue: Any, start_worker: Any, records: Any, redis_server: Any
) -> None:
    refused = ("-client|unblock", "-client|id", "-info")
    queue.redis.execute_command(
        "ACL", "SETUSER", "shop", "on", ">secret", "~*", "&*", "+@all", *refused
    )
    url = redis_server.url.replace("redis://", "redis://shop:secret@")
    worker = start_worker("-c", "1", CELERY_BROKER_URL=url)
    queue.send("work", 0, countdown=600)
    assert worker.says(scheduled=1).run_id == ""
    before = queue.redis.hvals("unacked")
    worker.ask_to_drain()
    worker.says(state=wire.DRAINED)
    assert queue.waiting()[0] in before[0]
    worker.recall()
    records.wait_for("finished", queue.send())


def test_another_database_and_a_unix_socket_are_found(
    make_redis_server: Any, start_worker: Any, tmp_path: Path, wait_for: Any
) -> None:
    path = tmp_path / "redis.sock"
    server = make_redis_server(unixsocket=str(path))
    url = f"redis+socket://{path}?virtual_host=3"
    start_worker("-c", "1", ready=False, CELERY_BROKER_URL=url)
    other = server.client(db=3)
    (name,) = wait_for(lambda: other.smembers(wire.workers_key("")), "a heartbeat")
    beat = Heartbeat.from_json(other.get(wire.heartbeat_key("", name.decode())))
    assert (beat.db, beat.run_id) == (3, other.info("server")["run_id"])


def test_children_that_are_replaced_while_the_heartbeat_beats_work_and_are_counted(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2", "--max-tasks-per-child", "1")
    tasks = [queue.send("publish_then_work", 0, 0, f"child-{n}") for n in range(6)]
    records.wait_for("finished", *tasks, *(f"child-{n}" for n in range(6)))
    assert worker.says(processed=12, active=0).waits == 6


def test_a_child_that_dies_is_a_failed_run_and_its_task_runs_again(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    task = queue.send("die_once")
    records.wait_for("finished", task)
    assert records.of("started")[task] == 2
    beat = worker.says(processed=2, active=0)
    assert beat.failed == 1


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_a_result_that_cannot_be_stored_keeps_neither_slot_nor_message(
    pool: str, queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1", "-P", pool, TEST_RESULTS="redis://127.0.0.1:1/0")
    tasks = [queue.send("work_with_result") for _ in range(3)]
    records.wait_for("finished", *tasks)
    wait_for(queue.empty, "acknowledged")
    worker.says(active=0, state=wire.CONSUMING)
    assert records.of("started") == dict.fromkeys(tasks, 1)


def test_a_task_over_its_time_limit_is_a_failed_run(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    queue.send("work", 60, time_limit=1)
    beat = worker.says(processed=1, active=0)
    assert beat.failed == 1
    assert beat.tasks["recording_app.work"].sum_s < 60


def test_the_agent_needs_no_compiled_part() -> None:
    script = "import sys; sys.modules['hiredis'] = None; import sluiceway_worker.agent"
    subprocess.run([sys.executable, "-c", script], check=True)

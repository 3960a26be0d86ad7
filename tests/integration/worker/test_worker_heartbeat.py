"""What a worker says of itself, in each pool; and that it goes on saying it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sluiceway_worker import wire


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_it_counts_runs_and_their_times_in_the_parent_whatever_the_pool(
    pool: str, queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2", "-P", pool)
    slots = 1 if pool == "solo" else 2
    long = queue.send("work", 1.5, headers={wire.STAMP_HEADER: time.time() - 5})
    records.wait_for("started", long)
    busy = worker.says(active=1)
    assert busy.slots == slots
    assert busy.running_for_s is not None
    assert busy.running_for_s >= 0
    assert [one.name for one in busy.running] == ["recording_app.work"]
    queue.send("fail")
    retried = queue.send("retry_once")
    records.wait_for("finished", long, retried)
    beat = worker.says(active=0, reserved=0, processed=4)
    assert (beat.failed, beat.retried) == (1, 1)
    assert beat.running_for_s is None
    times = beat.tasks["recording_app.work"]
    assert times.count == 1
    assert 1.5 <= times.sum_s < 30
    assert times.sumsq_s2 == pytest.approx(times.sum_s**2, abs=1e-3)
    assert beat.tasks["recording_app.retry_once"].count == 2
    # The stamped task waited; the retry was published, and stamped, by the worker itself.
    assert beat.waits == 2
    assert 5 <= beat.wait_sum_s < 60
    # The same by queue, name and outcome: what the metrics are made of.
    work = {one.name.removeprefix("recording_app."): one for one in beat.work}
    assert {one.queue for one in beat.work} == {"work"}
    assert (work["work"].started, work["work"].succeeded) == (1, 1)
    assert sum(work["work"].runs) == sum(work["work"].waits) == 1
    assert list(work["fail"].failed.values()) == [1]
    assert list(work["fail"].failed) == ["ValueError"]
    assert (work["retry_once"].retried, work["retry_once"].succeeded) == (1, 1)


def test_it_says_who_and_where_it_is(queue: Any, start_worker: Any) -> None:
    beat = start_worker("-c", "3", "-Q", "work,more").says(state=wire.CONSUMING)
    assert beat.name == "w1"
    assert beat.incarnation.startswith("w1:")
    assert beat.fleet == "test/work"
    assert beat.queues == ["more", "work"]
    assert beat.run_id == queue.redis.info("server")["run_id"]
    assert (beat.db, beat.prefix) == (0, "")
    assert beat.visibility_timeout_s == 3600
    assert beat.started_in_s is not None
    assert 0 < beat.started_in_s < 60
    assert beat.up_s >= 0


def test_a_cold_start_counts_from_the_wish_for_it(start_worker: Any) -> None:
    wished = time.time() - 100
    beat = start_worker("-c", "1", SLUICEWAY_STARTED_AT=str(wished)).says(state=wire.CONSUMING)
    assert 100 < beat.started_in_s < 160


def test_a_task_in_the_main_thread_does_not_silence_it(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-P", "solo")
    long = queue.send("work", 4)
    records.wait_for("started", long)
    first = worker.says(active=1)
    wait_for(
        lambda: worker.heartbeat().running_for_s >= first.running_for_s + 1, "another heartbeat"
    )
    assert long not in records.of("finished")


def test_it_comes_back_after_the_broker_was_away_and_so_does_the_work(
    queue: Any, start_worker: Any, records: Any, redis_server: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    before = worker.says(state=wire.CONSUMING)
    redis_server.stop()
    redis_server.start()

    def says_the_new_server() -> bool:
        # The beat may be back a moment before its worker has found out that it was away.
        beat = worker.heartbeat()
        return beat is not None and beat.run_id != before.run_id

    wait_for(says_the_new_server, "it tells of the server that runs now")
    worker.says(state=wire.CONSUMING)
    task = queue.send()
    records.wait_for("finished", task)
    assert worker.says(processed=1).incarnation == before.incarnation


def test_a_lost_connection_during_a_drain_does_not_make_it_consume(
    queue: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    worker = start_worker("-c", "1")
    worker.ask_to_drain(ttl_ms=120_000)
    worker.says(state=wire.DRAINED)
    for client in queue.redis.client_list(_type="normal"):
        if int(client["id"]) != queue.redis.client_id():
            queue.redis.client_kill_filter(_id=client["id"])
    task = queue.send()
    wait_for(lambda: "Connection to broker lost" in worker.log.read_text(), "the loss is seen")
    worker.says(state=wire.DRAINED)
    assert queue.length() == 1
    worker.recall()
    records.wait_for("finished", task)


def test_remote_control_works_while_it_drains_and_what_was_cancelled_stays_cancelled(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1", "-Q", "work,other")
    worker.ask_to_drain(ttl_ms=120_000)
    worker.says(state=wire.DRAINED)
    control = queue.app.control
    assert control.ping(timeout=30, limit=1) == [{"w1@test": {"ok": "pong"}}]
    control.cancel_consumer("other", reply=True, timeout=30, limit=1)
    control.add_consumer("third", reply=True, timeout=30, limit=1)
    worker.says(state=wire.DRAINED, queues=["third", "work"])
    left, taken = queue.send(queue="other"), queue.send(queue="third")
    assert queue.redis.llen("third") == 1
    worker.recall()
    records.wait_for("finished", taken)
    assert left not in records.of("started")

"""Safe settings by default, the application's own where it has any; and the publish stamp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sluiceway_worker import wire


def test_by_default_a_task_is_acknowledged_after_its_run(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1")
    running = queue.send("work", 3)
    records.wait_for("started", running)
    assert worker.says(active=1).acks == "late"
    assert queue.unacked() == 1


@pytest.mark.parametrize("acks", ["early", "app"])
def test_acknowledgement_may_be_left_early_or_to_the_application(
    acks: str, queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "1", "--acks", acks)
    running = queue.send("work", 3)
    records.wait_for("started", running)
    assert worker.says(active=1).acks == "early"
    assert queue.unacked() == 0


def test_what_the_application_sets_itself_wins(queue: Any, start_worker: Any, records: Any) -> None:
    worker = start_worker("-c", "1", "--acks", "late", TEST_EARLY="1")
    assert worker.says(state=wire.CONSUMING).acks == "early"


def test_no_message_is_taken_that_no_slot_is_free_for(
    queue: Any, start_worker: Any, records: Any
) -> None:
    worker = start_worker("-c", "2", "--acks=early")
    running = [queue.send("work", 3) for _ in range(2)]
    records.wait_for("started", *running)
    queue.send()
    assert worker.says(active=2).reserved == 0
    assert queue.length() == 1


def test_a_task_published_by_a_task_carries_the_stamp(
    queue: Any, start_worker: Any, records: Any
) -> None:
    before = time.time()
    start_worker("-c", "1")
    queue.send("publish_then_work", 0, 0, "child", kwargs={"queue": "elsewhere"})
    records.wait_for("published", "child")
    message = json.loads(queue.redis.lindex("elsewhere", 0))
    assert before < message["headers"][wire.STAMP_HEADER] <= time.time()


def test_a_web_process_stamps_with_one_line_in_any_task_protocol_and_canvas(
    redis_server: Any, queue: Any
) -> None:
    script = """
import sys
import sluiceway_worker
from celery import Celery, chain, group
sluiceway_worker.stamp()
sluiceway_worker.stamp()
app = Celery(broker=sys.argv[1])
app.conf.task_default_queue = "work"
app.conf.task_protocol = int(sys.argv[2])
@app.task(name="t")
def t(): ...
t.apply_async(headers={"mine": 1, "sluiceway_published": 1.0})
if app.conf.task_protocol == 2:
    chain(t.si(), t.si())()
    group(t.si(), t.si())()
"""
    for protocol, published in (("1", 1), ("2", 4)):
        began = time.time()
        subprocess.run(
            [sys.executable, "-c", script, redis_server.url, protocol],
            check=True,
            env={**os.environ},
        )
        messages = [json.loads(m) for m in queue.waiting()]
        assert len(messages) == published
        assert all(began < m["headers"][wire.STAMP_HEADER] <= time.time() for m in messages)
        assert messages[0]["headers"]["mine"] == 1
        queue.redis.delete("work")


def test_a_wrong_option_is_refused_in_one_line(tmp_path: Path) -> None:
    for options, expected in (
        (["--acks", "never"], "sluiceway-worker: --acks is 'never': write one of late, early, app"),
        (["-D"], "sluiceway-worker: -D is not supported: let what starts the worker detach it"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "sluiceway_worker", "-A", "x", *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert (done.returncode, done.stderr.strip()) == (2, expected)


@pytest.mark.parametrize("prefix", ["shop:"])
def test_an_applications_key_prefix_is_honoured(
    prefix: str, queue: Any, start_worker: Any, records: Any
) -> None:
    queue.prefix = prefix
    queue.app.conf.broker_transport_options["global_keyprefix"] = prefix
    later = queue.send("work", 0, countdown=600, priority=3)
    before = queue.waiting(3)
    worker = start_worker("-c", "1")
    beat = worker.says(scheduled=1)
    assert beat.prefix == prefix
    worker.ask_to_drain()
    worker.says(state=wire.DRAINED)
    assert queue.waiting(3) == before
    assert json.loads(before[0])["headers"]["id"] == later
    ours = {key for key in queue.redis.keys("*") if b"sluiceway" in key}
    assert all(key.startswith(prefix.encode()) for key in ours)

"""A worker that starts in a pod brings back what the container before it held."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway_worker import wire
from sluiceway_worker.identity import container


@pytest.fixture
def held_by(queue: Any) -> Any:
    """A message in the name of an incarnation of another life of a container."""

    def held_by(incarnation: str, life: str = "another boot:1") -> str:
        task = queue.send()
        tag, tail = f"{incarnation}:1", b', "", "work"]'
        raw = queue.redis.rpop(queue.key())
        queue.redis.hset("unacked", tag, b"[" + raw + tail)
        queue.redis.zadd("unacked_index", {tag: 2e9})
        queue.redis.hset(wire.held_key("", incarnation), tag, f"{len(tail)}:work")
        holder = wire.Holder("test/work", life, 1.0)
        queue.redis.hset(wire.holders_key(""), incarnation, holder.to_text())
        return task

    return held_by


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_what_the_container_before_held_runs_at_once(
    pool: str, queue: Any, held_by: Any, start_worker: Any, records: Any, wait_for: Any
) -> None:
    task = held_by("w1:before")
    start_worker("-c", "1", "-P", pool)
    records.wait_for("finished", task)
    wait_for(queue.empty, "acknowledged")
    assert records.of("started") == {task: 1}


def test_what_another_process_of_this_very_container_holds_is_left_to_it(
    queue: Any, held_by: Any, start_worker: Any, records: Any
) -> None:
    held_by("w1:beside", life=container())
    start_worker("-c", "1")
    next_one = queue.send()
    records.wait_for("finished", next_one)
    assert queue.redis.hlen(wire.held_key("", "w1:beside")) == 1
    assert set(records.of("started")) == {next_one}


def test_what_is_left_of_others_who_hold_nothing_any_more_is_gone_when_it_is_ready(
    queue: Any, held_by: Any, start_worker: Any
) -> None:
    held_by("killed:1")
    queue.redis.hdel("unacked", "killed:1:1")  # as a visibility timeout does
    queue.redis.sadd(wire.workers_key(""), "killed:1")
    worker = start_worker("-c", "1")
    assert not queue.redis.exists(wire.held_key("", "killed:1"))
    assert not queue.redis.hexists(wire.holders_key(""), "killed:1")
    assert queue.redis.smembers(wire.workers_key("")) == {worker.incarnation().encode()}

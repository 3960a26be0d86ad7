"""What a dead incarnation held is back in its lists: once, in order, the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from celery import chord, group
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluiceway_worker import wire
from sluiceway_worker.recovery import RecoveryError, recover


def test_what_it_held_is_first_in_the_lists_that_it_came_from(shop: Any) -> None:
    first, second, urgent = shop.send(), shop.send(), shop.send(priority=9)
    shop.take("w:1")
    shop.take("w:1")
    shop.take("w:1", priority=9)
    later = shop.send()
    done = shop.recover()
    assert (done.returned, done.dead, done.finished) == (3, 0, 0)
    assert shop.ids() == [first, second, later]
    assert shop.ids(9) == [urgent]
    assert (shop.unacked(), shop.held(), shop.holders()) == (0, 0, set())


def test_it_is_marked_as_redelivered_and_is_otherwise_the_same(shop: Any) -> None:
    shop.send()
    (before,) = shop.waiting()
    shop.take("w:1")
    shop.recover(at=1_764_000_000.0)
    (after,) = shop.waiting()
    marks = (
        b'"redelivered": true, ',
        b'"sluiceway_deaths": [[1764000000.0, "exit code 1", "w:1"]], ',
        b'"sluiceway_forgiven": 0, ',
    )
    unmarked = after
    for mark in marks:
        assert mark in after
        unmarked = unmarked.replace(mark, b"")
    assert unmarked == before
    assert json.loads(after)["properties"]["delivery_info"]["redelivered"] is True


def test_a_message_that_cannot_be_marked_comes_back_as_it_is(shop: Any) -> None:
    shop.hold("w:1", b"no JSON \xff", "work")
    shop.hold("w:1", b'{"body": [], "t": 1764000000.123456}', "work")
    assert shop.recover().returned == 2
    assert shop.waiting() == [b"no JSON \xff", b'{"body": [], "t": 1764000000.123456}']


def test_what_others_hold_is_left_to_them(shop: Any) -> None:
    shop.send()
    mine = shop.send()
    shop.take("w:2")
    shop.take("w:1")
    shop.recover()
    assert shop.ids() == [mine]
    assert (shop.unacked(), shop.held("w:2"), shop.holders()) == (1, 1, {"w:2"})


def test_the_second_recovery_finds_nothing_though_another_has_the_message_by_now(
    shop: Any,
) -> None:
    shop.send()
    shop.take("w:1")
    again = shop.steps()
    batch = next(again)
    shop.recover()
    shop.take("w:2")
    assert shop.drive(again, batch).moved == 0
    assert (shop.ids(), shop.held("w:2")) == ([], 1)


def test_what_was_acknowledged_or_restored_by_others_meanwhile_is_only_forgotten(
    shop: Any,
) -> None:
    shop.send()
    tag = shop.take("w:1")
    shop.redis.hdel(f"{shop.prefix}unacked", tag)
    shop.redis.zrem(f"{shop.prefix}unacked_index", tag)
    assert shop.recover().moved == 0
    assert (shop.ids(), shop.held(), shop.holders()) == ([], 0, set())


def test_many_and_large_messages_come_back_in_order(shop: Any) -> None:
    sent = [shop.send(headers={"pad": "x" * (300_000 if n % 100 == 0 else 10)}) for n in range(450)]
    for _ in sent:
        shop.take("w:1")
    assert shop.recover().returned == 450
    assert shop.ids() == sent


def test_for_silence_alone_nothing_is_done_once_it_is_heard_again(shop: Any) -> None:
    shop.send()
    shop.take("w:1")
    shop.beat("w:1")
    assert shop.recover(proven=False, blamed=False).lives
    assert (shop.ids(), shop.held(), shop.holders()) == ([], 1, {"w:1"})
    assert not shop.recover(proven=True).lives
    assert len(shop.ids()) == 1


def test_a_heartbeat_that_comes_while_it_is_buried_stops_the_burial(shop: Any) -> None:
    shop.send()
    shop.take("w:1")
    burial = shop.steps(proven=False, blamed=False)
    assert shop.drive(burial, next(burial), meanwhile=lambda: shop.beat("w:1")).lives
    assert (shop.ids(), shop.held(), shop.holders()) == ([], 1, {"w:1"})


def test_a_take_that_arrives_late_is_recovered_too(shop: Any) -> None:
    first = shop.send()
    shop.take("w:1")
    late = shop.send()
    steps = shop.steps()
    done = shop.drive(steps, next(steps), meanwhile=lambda: shop.take("w:1"))
    assert done.returned == 2
    assert sorted(shop.ids()) == sorted([first, late])
    assert (shop.held(), shop.holders()) == (0, set())


def test_what_cannot_be_written_stays_where_it_is(shop: Any) -> None:
    shop.send(priority=9)
    shop.take("w:1", priority=9)
    kept = shop.send()
    shop.take("w:1")
    shop.redis.set(f"{shop.prefix}{shop.list_of(9)}", "somebody else's")
    assert shop.recover().returned == 1
    assert shop.ids() == [kept]
    assert (shop.unacked(), shop.held(), shop.holders()) == (1, 1, {"w:1"})
    shop.redis.delete(f"{shop.prefix}{shop.list_of(9)}")
    assert shop.recover().returned == 1
    assert (len(shop.ids(9)), shop.unacked(), shop.holders()) == (1, 0, set())


def test_it_comes_back_though_the_server_has_no_memory_left(shop: Any) -> None:
    task = shop.send()
    shop.take("w:1")
    shop.redis.config_set("maxmemory", 1)
    try:
        assert shop.recover().returned == 1
    finally:
        shop.redis.config_set("maxmemory", 0)
    assert shop.ids() == [task]


def result(shop: Any, task: str, done_at: str) -> None:
    """As Celery stores it, with a value of any size."""
    body = {"status": "SUCCESS", "result": "x" * 2000, "traceback": None, "children": []}
    body |= {"date_done": done_at, "task_id": task}
    shop.redis.set(f"{shop.prefix}celery-task-meta-{task}", json.dumps(body))


def test_a_result_that_is_older_than_the_message_is_another_task_s(shop: Any) -> None:
    stamp = {wire.STAMP_HEADER: 1_764_158_400.0}  # 2025-11-26T12:00:00Z
    of_today, of_yesterday, unknown = (shop.send(headers=stamp) for _ in range(3))
    result(shop, of_today, "2025-11-26T12:00:01.5+00:00")
    result(shop, of_yesterday, "2025-11-26T11:59:59.5+00:00")
    result(shop, unknown, "x" * 39)
    for _ in range(3):
        shop.take("w:1")
    assert (done := shop.recover()).finished == 2
    assert (done.returned, shop.ids()) == (1, [of_yesterday])


def test_a_part_of_a_chord_is_run_again_though_its_result_is_there(shop: Any) -> None:
    """It may not have been counted in the chord, which would wait for ever."""
    parts = chord([shop.app.signature("shop.work") for _ in range(2)], shop.app.signature("x"))
    alone = group(shop.app.signature("shop.work"))
    shop.app.conf.result_backend = "cache+memory://"
    ids = [one.id for one in (*parts.apply_async().parent.results, *alone.apply_async().results)]
    for task in ids:
        result(shop, task, "2099-01-01T00:00:00+00:00")
        shop.take("w:1")
    done = shop.recover()
    assert (done.returned, done.finished) == (2, 1)
    assert sorted(shop.ids()) == sorted(ids[:2])


def test_a_broker_that_refuses_loses_nothing(shop: Any, redis_server: Any) -> None:
    shop.send()
    shop.take("w:1")
    shop.redis.execute_command("ACL", "SETUSER", "poor", "on", ">p", "~*", "+@all", "-eval")
    poor = redis.Redis(port=redis_server.port, username="poor", password="p")
    with pytest.raises(RecoveryError, match="permission"):
        recover(poor, shop.steps())
    poor.close()
    assert (shop.unacked(), shop.held(), shop.holders()) == (1, 1, {"w:1"})


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(turns=st.lists(st.sampled_from("abt"), max_size=24))
def test_two_recoveries_and_a_taker_in_any_order_make_one_message_of_one(
    turns: str, shop: Any
) -> None:
    shop.redis.flushall()
    sent = [shop.send() for _ in range(3)]
    for _ in sent:
        shop.take("w:1")
    running = {name: (steps := shop.steps(), next(steps)) for name in "ab"}

    def turn(name: str) -> None:
        if name == "t":
            if shop.redis.llen(f"{shop.prefix}work"):
                shop.take("w:2")
        elif name in running:
            steps, batch = running[name]
            replies = [shop.redis.execute_command(*command) for command in batch]
            try:
                running[name] = steps, steps.send(replies)
            except StopIteration:
                del running[name]

    for name in turns:
        turn(name)
    while running:
        turn(next(iter(running)))
    there = [*shop.ids(), *shop.taken()]
    assert sorted(there) == sorted(sent)
    assert shop.held() == 0
    assert shop.unacked() == shop.held("w:2")


def test_what_has_succeeded_is_acknowledged_and_not_run_again(shop: Any) -> None:
    done, failed, unknown = shop.send(), shop.send(), shop.send()
    for _ in range(3):
        shop.take("w:1")
    for task, status in ((done, "SUCCESS"), (failed, "FAILURE")):
        told = json.dumps({"status": status, "result": None, "task_id": task})
        shop.redis.set(f"{shop.prefix}celery-task-meta-{task}", told)
    shop.redis.lpush(f"{shop.prefix}celery-task-meta-{unknown}", "no result")
    recovered = shop.recover()
    assert (recovered.finished, recovered.returned) == (1, 2)
    assert shop.ids() == [failed, unknown]
    assert shop.unacked() == 0


def test_the_last_of_too_many_deaths_makes_a_dead_letter(shop: Any) -> None:
    task = shop.send()
    published = shop.waiting()[0]
    for death in range(3):
        shop.take(f"w:{death}")
        recovered = shop.recover(f"w:{death}", at=1_764_000_000.0 + death, reason="OOMKilled")
        suspect = b'"sluiceway_suspect": true' in b"".join(shop.waiting())
        assert suspect is (death == 1)
    assert (recovered.dead, recovered.returned) == (1, 0)
    assert (shop.ids(), shop.unacked(), shop.holders()) == ([], 0, set())
    (letter,) = shop.letters()
    assert (letter.id, letter.task, letter.source) == (task, "shop.work", "work")
    assert letter.deaths == [[1_764_000_000.0 + n, "OOMKilled", f"w:{n}"] for n in range(3)]
    assert json.loads(letter.message)["body"] == json.loads(published)["body"]
    assert shop.redis.ttl(wire.dead_key(shop.prefix, letter.fleet)) == -1


@pytest.mark.parametrize(
    ("how", "sent"),
    [({"blamed": False}, {}), ({"blamed": True}, {"countdown": 3600})],
    ids=["an eviction", "held for later"],
)
def test_who_is_not_to_blame_never_becomes_a_dead_letter(shop: Any, how: Any, sent: Any) -> None:
    task = shop.send(**sent)
    for death in range(5):
        shop.take(f"w:{death}")
        assert shop.recover(f"w:{death}", **how).dead == 0
    assert shop.ids() == [task]
    assert b"sluiceway_deaths" not in shop.waiting()[0]


def test_it_says_what_may_have_been_running_by_name_and_number(shop: Any) -> None:
    shop.send()
    shop.send()
    shop.send(countdown=3600)
    for _ in range(3):
        shop.take("w:1")
    recovered = shop.recover()
    assert recovered.names() == "2 × shop.work"
    assert recovered.moved == 3
    shop.hold("w:2", b"no JSON", "work")
    assert shop.recover("w:2").names() == "1 × unnamed"


def test_of_one_that_lives_only_what_its_lost_process_ran_comes_back(shop: Any) -> None:
    lost, kept = shop.send(), shop.send()
    tag = shop.take("w:1")
    shop.take("w:1")
    shop.beat("w:1")
    assert shop.recover(only=[tag]).returned == 1
    assert shop.ids() == [lost]
    assert (shop.taken(), shop.held(), shop.holders()) == ([kept], 1, {"w:1"})

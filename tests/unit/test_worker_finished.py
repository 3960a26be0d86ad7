"""When a result of success means that a message needs no other run, and when it does not."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from celery import Celery, chain, chord, group

from sluiceway_worker.finished import came_back, can_be_told, is_later, published_at
from sluiceway_worker.results import InTime, asks
from sluiceway_worker.wire import STAMP_HEADER

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Published:
    """An application whose messages are looked at, as they lie in a broker in memory."""

    def __init__(self, serializer: str = "json") -> None:
        self.app = Celery(broker="memory://", backend="cache+memory://", set_as_current=False)
        self.app.conf.task_serializer = serializer
        self.app.conf.accept_content = [serializer]

        @self.app.task(name="shop.pay", shared=False)
        def pay() -> None:
            """Nothing is run here."""

        self.task = pay

    def messages(self, what: Any) -> list[dict[str, Any]]:
        """What publishing this leaves in the queue."""
        what.apply_async()
        with self.app.connection_for_write() as connection:
            queue = connection.default_channel._queue_for("celery")
            return [queue.get_nowait() for _ in range(queue.qsize())]


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_the_parts_of_a_chord_are_told_from_all_others(serializer: str) -> None:
    shop = Published(serializer)
    pay = shop.task.si()

    def told(what: Any) -> list[bool]:
        return [can_be_told(one["headers"], one["body"]) for one in shop.messages(what)]

    assert told(pay) == [True]
    assert told(shop.task.si().set(link=pay)) == [True]
    assert told(chain(pay, pay)) == [True]
    assert told(chord([pay, pay], pay)) == [False, False]
    # What is not JSON may be a part of a chord, where it is a part of a group.
    assert told(group(pay, pay)) == [serializer == "json"] * 2


def test_the_last_of_a_chain_within_a_chord_is_a_part_of_it() -> None:
    shop = Published()
    pay = shop.task.si()
    (first, _) = shop.messages(chord([chain(pay, pay), pay], pay))
    # Its message is published when the first has run; as it is written then:
    body = json.loads(base64.b64decode(first["body"]))
    (last,) = body[2]["chain"]
    options = last["options"]
    body = json.dumps([[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": {}}])
    assert options["group_id"]
    assert options["chord"]
    text = base64.b64encode(body.encode()).decode()
    assert not can_be_told({"group": options["group_id"]}, text)


@pytest.mark.parametrize("body", [None, "", "x", "%%%", "e30=", b"", {"chord": None}])
def test_a_body_that_cannot_be_read_may_be_a_part_of_a_chord(body: Any) -> None:
    assert not can_be_told({"group": "g"}, body)
    assert can_be_told({"group": None}, body)
    assert can_be_told({}, body)


def test_a_result_that_is_older_than_the_message_is_that_of_an_earlier_task() -> None:
    at = NOON.timestamp()
    for done in (NOON, NOON.isoformat(), "2026-11-26T12:00:00", "2026-11-26T12:00:00Z"):
        assert is_later(done, at)
        assert not is_later(done, at + 0.001)
    abroad = NOON.astimezone(timezone(timedelta(hours=9)))
    assert not is_later(abroad.isoformat(), at + 1)
    for unknown in (None, "", "yesterday", 12):
        assert is_later(unknown, at)
    assert is_later(NOON, None)


def test_only_a_message_that_was_delivered_before_has_come_back() -> None:
    def message(**about: Any) -> dict[str, Any]:
        return {"headers": {"redelivered": True}, "properties": {"delivery_info": about}}

    assert came_back(message(redelivered=True))
    assert not came_back(message())
    for broken in ({}, {"properties": {}}, {"properties": {"delivery_info": None}}):
        assert not came_back(broken)
    assert published_at({STAMP_HEADER: 5}) == 5.0
    assert published_at({STAMP_HEADER: "now"}) is None


def test_an_application_without_results_has_nobody_to_ask() -> None:
    assert asks(Celery(set_as_current=False)) is None
    assert asks(Celery(backend="no.such:backend", set_as_current=False)) is None


def test_the_application_s_backend_tells_success_and_when_it_was() -> None:
    app = Celery(backend="cache+memory://", set_as_current=False)
    app.backend.store_result("done", None, "SUCCESS")
    app.backend.store_result("failed", ValueError("x"), "FAILURE")
    ask = asks(app)
    assert ask is not None
    assert [ask(one, None) for one in ("done", "failed", "unknown")] == [True, False, False]
    long_ago = datetime.now(UTC).timestamp() - 3600
    assert (ask("done", long_ago), ask("done", long_ago + 7200)) == (True, False)


def test_a_backend_that_fails_is_left_alone_for_a_while() -> None:
    class Broken:
        asked = 0

        def get_task_meta(self, task_id: str, cache: bool = True) -> Any:
            self.asked += 1
            raise OSError("away")

    class App:
        backend = Broken()

    ask = asks(App())
    assert ask is not None
    assert [ask("x", None), ask("y", None)] == [False, False]
    assert App.backend.asked == 1


def test_an_answer_that_takes_too_long_is_not_waited_for_and_spoils_no_later_one() -> None:
    go, asked = threading.Event(), []

    def slow(task_id: str, published: float | None) -> bool:
        asked.append(task_id)
        go.wait(60)
        return True

    in_time = InTime(slow, patience_s=0.01)
    assert in_time("x", None) is False
    # For a while nobody is asked at all.
    assert in_time("y", None) is False
    in_time._silent_until = 0.0
    go.set()
    in_time._patience_s = 60.0
    assert in_time("z", None) is True
    assert asked == ["x", "z"]

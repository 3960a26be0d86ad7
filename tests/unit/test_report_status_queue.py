"""When a TaskQueue's status is written, and with what: on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.report.status_queue import (
    FIRST_S,
    IN_FLIGHT,
    NUMBERS_EVERY_S,
    StatusQueue,
    encoded,
)

VIDEO = "shop/video"


def status(waiting: int | None = 0, desired: int = 1, ready: str = "True") -> dict[str, Any]:
    body: dict[str, Any] = {
        "desiredReplicas": desired,
        "conditions": [{"type": "Ready", "status": ready, "reason": "WorkersReady"}],
    }
    return body if waiting is None else body | {"waiting": waiting}


class Term:
    """A queue of statuses on a clock that the test moves."""

    def __init__(self) -> None:
        self.queue = StatusQueue()
        self.now = 0.0

    def put(self, body: dict[str, Any], key: str = VIDEO) -> None:
        self.queue.put(key, body, self.now)

    def write_all(self) -> list[dict[str, Any]]:
        """Carry out what is due; what was sent."""
        sent = []
        while writes := self.queue.take(self.now):
            for write in writes:
                sent.append(write.status)
                self.queue.written(write, self.now)
        return sent


@pytest.fixture
def term() -> Term:
    """A term in which one status has been written."""
    term = Term()
    term.put(status())
    assert len(term.write_all()) == 1
    return term


def test_a_status_that_has_not_changed_is_never_written_again(term: Term) -> None:
    for _ in range(100):
        term.now += 2
        term.put(status())
        assert term.write_all() == []
    assert term.queue.next_at() is None


def test_a_status_that_the_cluster_has_already_is_not_written() -> None:
    """Whatever the order of its members."""
    term = Term()
    term.queue.adopt(VIDEO, encoded(dict(reversed(status().items()))), 0.0)
    term.put(status())

    assert term.write_all() == []


def test_mere_numbers_are_written_every_ten_seconds_and_then_the_newest_ones(term: Term) -> None:
    written = []
    for second in range(1, 31):
        term.now = float(second)
        term.put(status(waiting=second))
        written += [(term.now, sent) for sent in term.write_all()]

    assert written == [(n, {"waiting": n}) for n in (NUMBERS_EVERY_S, 20.0, 30.0)]


@pytest.mark.parametrize(
    "change",
    [{"desired": 2}, {"ready": "Unknown"}],
    ids=["another number of workers", "a condition"],
)
def test_what_people_wait_for_is_written_at_once(term: Term, change: dict[str, Any]) -> None:
    term.now = 1.0
    term.put(status(waiting=7))
    assert term.write_all() == []
    term.put(status(waiting=8, **change))

    (sent,) = term.write_all()
    assert sent["waiting"] == 8


def test_what_is_not_known_any_more_is_removed(term: Term) -> None:
    term.now = 20.0
    term.put(status(waiting=None))

    assert term.write_all() == [{"waiting": None}]


def test_where_nobody_knows_what_is_there_everything_else_is_removed() -> None:
    term = Term()
    term.put(status())
    (sent,) = term.write_all()

    assert sent["waiting"] == 0
    assert sent["oldestTaskAge"] is None
    assert sent["lastScaleTime"] is None


def test_a_status_that_returns_to_what_is_there_is_not_written(term: Term) -> None:
    term.now = 1.0
    term.put(status(waiting=5))
    term.put(status())
    term.now = 60.0

    assert term.write_all() == []


def test_no_more_writes_are_under_way_than_may_be_and_each_has_its_turn() -> None:
    term = Term()
    keys = [f"shop/q{n}" for n in range(3 * IN_FLIGHT)]
    for key in keys:
        term.put(status(), key)
    told: list[str] = []
    while writes := term.queue.take(term.now):
        assert len(writes) <= IN_FLIGHT
        assert term.queue.take(term.now) == []
        told += [write.key for write in writes]
        for write in writes:
            term.queue.written(write, term.now)

    assert told == keys


def test_a_failed_write_is_tried_again_later_and_later_with_the_newest_status(term: Term) -> None:
    term.put(status(desired=2))
    waits = []
    for desired in range(3, 10):
        (write,) = term.queue.take(term.now)
        term.put(status(desired=desired))
        assert term.queue.take(term.now) == [], "one write of an object at a time"
        term.queue.failed(write, term.now, luck=0.999, may_have_worked=False)
        at = term.queue.next_at()
        assert at is not None
        waits.append(round(at - term.now))
        term.now = at

    assert waits == [1, 1, 2, 4, 8, 10, 10]
    assert term.write_all() == [{"desiredReplicas": 9}]


def test_a_write_whose_outcome_nobody_knows_is_repeated_in_full(term: Term) -> None:
    term.put(status(desired=2))
    (write,) = term.queue.take(term.now)
    term.queue.failed(write, term.now, luck=0.0, may_have_worked=True)
    term.put(status())  # what was there before, and may not be any more
    term.now += 60

    (sent,) = term.write_all()
    assert sent["desiredReplicas"] == 1
    assert sent["oldestTaskAge"] is None


def test_a_dropped_object_is_not_written_not_even_after_an_answer_on_its_way(term: Term) -> None:
    term.put(status(desired=2))
    (write,) = term.queue.take(term.now)
    term.queue.drop(VIDEO)
    term.queue.failed(write, term.now, luck=0.0, may_have_worked=True)
    term.now += 60

    assert term.write_all() == []
    assert term.queue.latest(VIDEO) == {}


def test_an_object_made_anew_does_not_keep_what_was_on_its_way_to_the_old_one(term: Term) -> None:
    term.put(status(desired=2))
    (write,) = term.queue.take(term.now)
    term.queue.drop(VIDEO)
    term.queue.adopt(VIDEO, encoded({}), term.now)
    term.now += FIRST_S
    term.put({"observedGeneration": 1})
    term.queue.written(write, term.now)

    (sent,) = term.write_all()
    assert (sent["observedGeneration"], sent["desiredReplicas"]) == (1, None)


def test_another_term_begins_with_what_the_watch_shows_and_not_with_old_wishes(term: Term) -> None:
    term.now = 1.0
    term.put(status(waiting=9))
    term.queue.rest()
    term.queue.adopt(VIDEO, encoded(status(waiting=3)), term.now)
    assert term.queue.latest(VIDEO) == status(waiting=3)
    term.now = 60.0
    assert term.write_all() == []
    term.put(status(waiting=4))

    assert term.write_all() == [{"waiting": 4}]


def test_a_new_leader_that_does_not_know_a_rate_yet_does_not_write_that() -> None:
    term = Term()
    known = status() | {"arrivalRate": "2"}
    term.queue.adopt(VIDEO, encoded(known), term.now)
    for body in (status(), known):
        term.put(body)
        term.now += 60
        assert term.write_all() == []

    term.put(status(waiting=4))

    assert term.write_all() == [{"waiting": 4, "arrivalRate": None}]


def test_the_first_status_of_an_object_is_written_once_with_what_a_second_look_tells() -> None:
    term = Term()
    term.queue.adopt(VIDEO, encoded({}), term.now)
    term.put(status())
    assert term.write_all() == []
    term.put(status() | {"arrivalRate": "0"})

    assert term.queue.next_at() == FIRST_S
    term.now = FIRST_S

    assert term.write_all() == [status() | {"arrivalRate": "0"}]


def test_an_older_status_that_the_watch_still_shows_does_not_count(term: Term) -> None:
    term.queue.adopt(VIDEO, encoded(status(waiting=3)), term.now)

    assert term.queue.latest(VIDEO) == status()


def test_numbers_of_very_many_objects_come_one_after_the_other_and_what_matters_before_them() -> (
    None
):
    term = Term()
    many = [f"shop/queue-{n}" for n in range(200)]
    for key in many:
        term.put(status(), key)
    term.write_all()
    term.now += 60
    for key in many:
        term.put(status(waiting=7), key)

    at_once = len(term.write_all())
    term.put(status(waiting=7, desired=9), many[-1])

    assert at_once < 10
    (urgent,) = term.write_all()
    assert urgent["desiredReplicas"] == 9
    for _ in range(4):
        term.now += 1
        term.write_all()
    assert term.queue.next_at() is None

"""The conversation that arms queues, on a virtual clock."""

from __future__ import annotations

import pytest

from sluiceway.broker.reading import BrokerQueue
from sluiceway.broker.tracking import ANSWER_WITHIN_S, ARM_EVERY_S, PING_AFTER_S, Tracking

VIDEO = BrokerQueue(name="video", steps=(0, 3))
AUDIO = BrokerQueue(name="audio", steps=(0,))
ARM_VIDEO = ("EXISTS", "video", "video\x06\x163")
ARM_AUDIO = ("EXISTS", "audio")


@pytest.fixture
def armed() -> Tracking:
    """Both queues are empty and armed at time 0."""
    tracking = Tracking(0.0)
    tracking.want(frozenset({VIDEO, AUDIO}))
    for _ in tracking.due(0.0):
        tracking.replied(0, 0.0)
    return tracking


def test_wanted_queues_are_armed_by_reading_their_keys() -> None:
    tracking = Tracking(0.0)
    tracking.want(frozenset({VIDEO, AUDIO}))
    assert not tracking.settled
    assert set(tracking.due(0.0)) == {ARM_VIDEO, ARM_AUDIO}
    tracking.replied(0, 0.0)
    assert not tracking.settled
    tracking.replied(0, 0.0)
    assert tracking.settled
    assert tracking.changed() == frozenset()


def test_a_queue_that_is_not_empty_when_it_is_armed_has_changed() -> None:
    tracking = Tracking(0.0)
    tracking.want(frozenset({VIDEO}))
    tracking.due(0.0)
    tracking.replied(1, 0.0)
    assert tracking.changed() == {VIDEO}
    assert tracking.changed() == frozenset()


def test_a_push_is_told_after_its_queue_is_armed_again(armed: Tracking) -> None:
    armed.pushed([b"video\x06\x163"], 1.0)
    assert armed.changed() == frozenset()
    assert armed.due(1.0) == [ARM_VIDEO]
    armed.replied(1, 1.0)
    assert armed.changed() == {VIDEO}


def test_a_queue_that_is_empty_again_is_not_told(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    armed.replied(0, 1.0)
    assert armed.changed() == frozenset()
    assert armed.settled


def test_a_busy_queue_is_armed_at_most_every_fifty_milliseconds(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    armed.replied(5, 1.0)
    armed.pushed([b"video"], 1.001)
    assert armed.due(1.001) == []
    assert armed.next_at() == pytest.approx(1.0 + ARM_EVERY_S)
    assert armed.due(1.0 + ARM_EVERY_S) == [ARM_VIDEO]


def test_a_push_between_arming_and_its_answer_arms_once_more(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    armed.pushed([b"video"], 1.001)
    armed.replied(1, 1.002)
    assert armed.changed() == {VIDEO}
    assert armed.due(1.1) == [ARM_VIDEO]


def test_flushing_everything_changes_and_arms_every_queue(armed: Tracking) -> None:
    armed.pushed(None, 1.0)
    assert armed.changed() == {VIDEO, AUDIO}
    assert set(armed.due(1.0)) == {ARM_VIDEO, ARM_AUDIO}


def test_a_queue_that_is_not_wanted_any_more_is_neither_told_nor_armed(armed: Tracking) -> None:
    armed.want(frozenset({AUDIO}))
    armed.pushed([b"video"], 1.0)
    assert armed.due(1.0) == []
    assert armed.changed() == frozenset()


def test_an_answer_for_a_queue_that_was_given_up_meanwhile_is_dropped(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    armed.want(frozenset({AUDIO}))
    armed.replied(1, 1.0)
    assert armed.changed() == frozenset()


def test_only_the_new_queue_is_armed_when_one_is_added(armed: Tracking) -> None:
    more = BrokerQueue(name="more", steps=(0,))
    armed.want(frozenset({VIDEO, AUDIO, more}))
    assert armed.due(1.0) == [("EXISTS", "more")]


def test_a_refused_queue_is_named_and_tried_again_after_each_ping(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    armed.replied(PermissionError("NOPERM"), 1.0)
    assert armed.problems() == {VIDEO: "NOPERM"}
    assert armed.settled
    assert armed.due(1.0 + PING_AFTER_S) == [("PING",)]
    armed.replied(b"PONG", 6.1)
    assert armed.due(6.1) == [ARM_VIDEO]
    armed.replied(0, 6.1)
    assert armed.problems() == {}


def test_a_silent_connection_is_asked_and_then_given_up(armed: Tracking) -> None:
    assert armed.due(PING_AFTER_S - 0.1) == []
    assert armed.next_at() == PING_AFTER_S
    assert armed.due(PING_AFTER_S) == [("PING",)]
    assert armed.due(PING_AFTER_S + 1) == []
    assert armed.next_at() == PING_AFTER_S + ANSWER_WITHIN_S
    assert not armed.lost(PING_AFTER_S + ANSWER_WITHIN_S - 0.1)
    assert armed.lost(PING_AFTER_S + ANSWER_WITHIN_S)


def test_an_answered_ping_gives_another_five_seconds(armed: Tracking) -> None:
    armed.due(PING_AFTER_S)
    armed.replied(b"PONG", PING_AFTER_S + 0.001)
    assert not armed.lost(100.0)
    assert armed.next_at() == pytest.approx(2 * PING_AFTER_S + 0.001)


def test_an_arming_that_is_not_answered_is_given_up_too(armed: Tracking) -> None:
    armed.pushed([b"video"], 1.0)
    armed.due(1.0)
    assert armed.lost(1.0 + ANSWER_WITHIN_S)


def test_a_long_row_of_answers_is_no_silence() -> None:
    tracking = Tracking(0.0)
    tracking.want(frozenset({VIDEO, AUDIO}))
    tracking.due(0.0)
    tracking.replied(0, 1.9)
    assert not tracking.lost(3.0)
    assert tracking.lost(3.9)

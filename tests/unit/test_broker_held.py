"""Walking ``unacked`` page by page, without a server."""

from __future__ import annotations

import pytest

from sluiceway.broker.held import PAGE, HeldWalk


class Unacked:
    """The part of a server that the walk speaks to."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[float, str]] = {}
        self.opened = 0

    def answer(self, walk: HeldWalk) -> None:
        _, _, start, page, _, *known = walk.call().args
        text = str(start)
        low = float(text.lstrip("("))
        inside = sorted(
            (score, tag, queue)
            for tag, (score, queue) in self.held.items()
            if (score > low if text.startswith("(") else score >= low)
        )[: int(page)]
        strange = [(tag, queue) for _, tag, queue in inside if tag.encode() not in known]
        self.opened += len(strange)
        walk.learn(
            [part for score, tag, _ in inside for part in (tag.encode(), str(score).encode())],
            [part.encode() for pair in strange for part in pair],
        )


@pytest.fixture
def unacked() -> Unacked:
    return Unacked()


@pytest.fixture
def walk() -> HeldWalk:
    return HeldWalk("")


def test_nothing_is_known_before_the_first_answer(walk: HeldWalk) -> None:
    assert walk.by_queue() is None


def test_up_to_a_page_the_picture_is_exact_at_once(walk: HeldWalk, unacked: Unacked) -> None:
    unacked.held = {f"t{n}": (float(n), "video") for n in range(PAGE - 1)}
    unacked.answer(walk)
    assert walk.by_queue() == {"video": PAGE - 1}
    del unacked.held["t7"]
    unacked.held["new"] = (3.5, "audio")
    unacked.answer(walk)
    assert walk.by_queue() == {"video": PAGE - 2, "audio": 1}


def test_a_tag_is_opened_once(walk: HeldWalk, unacked: Unacked) -> None:
    unacked.held = {f"t{n}": (float(n), "video") for n in range(1234)}
    for _ in range(12):
        unacked.answer(walk)
    assert unacked.opened == 1234


def test_beyond_a_page_the_end_is_reached_page_by_page(walk: HeldWalk, unacked: Unacked) -> None:
    unacked.held = {f"t{n}": (float(n), "video") for n in range(2 * PAGE)}
    unacked.answer(walk)
    assert walk.by_queue() is None
    for _ in range(3):
        unacked.answer(walk)
    assert walk.by_queue() == {"video": 2 * PAGE}


def test_a_worker_whose_clock_is_behind_is_found_at_the_next_walk(
    walk: HeldWalk, unacked: Unacked
) -> None:
    unacked.held = {f"t{n}": (100.0 + n, "video") for n in range(PAGE + 10)}
    unacked.answer(walk)
    unacked.held["slow"] = (1.0, "audio")
    for _ in range(3):
        unacked.answer(walk)
    assert walk.by_queue() == {"video": PAGE + 10, "audio": 1}


def test_more_than_a_page_at_one_moment_does_not_stop_the_walk(
    walk: HeldWalk, unacked: Unacked
) -> None:
    unacked.held = {f"t{n:04}": (5.0, "video") for n in range(PAGE)} | {"z": (6.0, "audio")}
    for _ in range(3):
        unacked.answer(walk)
    assert walk.by_queue() == {"video": PAGE, "audio": 1}


def test_everything_acknowledged_leaves_nothing(walk: HeldWalk, unacked: Unacked) -> None:
    unacked.held = {f"t{n}": (float(n), "video") for n in range(PAGE + 10)}
    for _ in range(3):
        unacked.answer(walk)
    unacked.held = {}
    for _ in range(3):
        unacked.answer(walk)
    assert walk.by_queue() == {}


def test_one_tag_whose_queue_cannot_be_told_makes_the_counts_unknown(
    walk: HeldWalk, unacked: Unacked
) -> None:
    unacked.held = {"a": (1.0, "video"), "b": (2.0, "")}
    unacked.answer(walk)
    assert walk.by_queue() is None
    del unacked.held["b"]
    unacked.answer(walk)
    assert walk.by_queue() == {"video": 1}


def test_a_message_taken_again_counts_once(walk: HeldWalk, unacked: Unacked) -> None:
    unacked.held = {"a": (1.0, "video"), "b": (2.0, "video")}
    unacked.answer(walk)
    unacked.held["a"] = (9.0, "video")
    unacked.answer(walk)
    assert walk.by_queue() == {"video": 2}

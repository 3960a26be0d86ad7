"""A suspect runs alone in its worker, and does not keep the others from working for long."""

from __future__ import annotations

import json

from sluiceway_worker.suspects import Suspects

SUSPECT = json.dumps({"headers": {"sluiceway_suspect": True}}).encode()
PLAIN = json.dumps({"headers": {"sluiceway_suspect": False}, "body": SUSPECT.decode()}).encode()


class Worker:
    """A worker whose clock stands until it is turned."""

    def __init__(self) -> None:
        self.busy = False
        self.now = 100.0
        self.suspects = Suspects(lambda: self.busy, lambda: self.now)


def test_an_empty_worker_takes_it_and_nothing_beside_it() -> None:
    worker = Worker()
    assert worker.suspects.unwanted() == b""
    worker.suspects.took("t", SUSPECT)
    worker.busy = True
    assert not worker.suspects.may_take({"t"})
    assert worker.suspects.alone({"t"}) == "t"
    worker.busy = False
    assert worker.suspects.may_take({})
    worker.suspects.took("u", PLAIN)
    worker.busy = True
    assert worker.suspects.may_take({"u"})
    assert worker.suspects.alone({"u"}) == ""


def test_a_worker_at_work_leaves_it_and_takes_nothing_until_it_is_empty() -> None:
    worker = Worker()
    worker.busy = True
    assert worker.suspects.unwanted() in SUSPECT
    worker.suspects.stand_aside()
    assert not worker.suspects.may_take({})
    worker.busy = False
    assert worker.suspects.may_take({})
    assert worker.suspects.unwanted() == b""


def test_it_looks_again_after_a_while_for_another_may_have_taken_it() -> None:
    worker = Worker()
    worker.busy = True
    worker.suspects.stand_aside()
    worker.now += 0.9
    assert not worker.suspects.may_take({})
    worker.now += 0.2
    assert worker.suspects.may_take({})


def test_text_that_looks_like_the_mark_is_none() -> None:
    worker = Worker()
    worker.busy = True
    assert worker.suspects.unwanted() not in PLAIN

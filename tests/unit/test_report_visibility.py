"""A visibility timeout that is too short is told, whosever it is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from sluiceway.broker.reading import Heard
from sluiceway.report.visibility import REMEMBERED_S, Neighbours, Timeouts, timeouts_of
from sluiceway_worker.heartbeat import Heartbeat
from sluiceway_worker.wire import CONSUMING

VIDEO = "shop/video"
DAY_S = 86_400.0


def beat(fleet: str, timeout_s: float, *, worker: str = "", **more: Any) -> Heard:
    name = worker or fleet
    given = {"queues": [], "state": CONSUMING, "slots": 1, "visibility_timeout_s": timeout_s}
    one = Heartbeat(incarnation=f"{name}:1", name=name, fleet=fleet, **given | more)
    return Heard(heartbeat=one, age_s=0.1)


class Known:
    """What is known of ``VIDEO``, look after look."""

    def __init__(self) -> None:
        self.timeouts = Timeouts()
        self._books: defaultdict[str, Neighbours] = defaultdict(Neighbours)

    def hear(self, *beats: Heard, at: float = 0.0, prefix: str = "") -> Known:
        own = [one for one in beats if one.heartbeat.fleet == VIDEO]
        book = self._books[prefix]
        book.hear(beats, at)
        self.timeouts = timeouts_of(prefix, own, book.shortest_but(VIDEO), self.timeouts)
        return self

    def warnings(self, longest_task_s: float) -> tuple[str, ...]:
        return self.timeouts.warnings(longest_task_s)


def heard(*beats: Heard, before: Known | None = None, at: float = 0.0, prefix: str = "") -> Known:
    """What is known of ``VIDEO`` after these heartbeats."""
    return (before or Known()).hear(*beats, at=at, prefix=prefix)


def test_one_that_is_not_above_the_longest_task_is_told() -> None:
    known = heard(beat(VIDEO, 3_600.0))
    (warning,) = known.warnings(3_600.0)
    assert "worker.longestTask" in warning
    assert "visibility_timeout" in warning
    assert known.warnings(3_599.0) == ()


def test_one_that_is_not_above_what_a_worker_holds_for_its_eta_is_told_with_the_mend() -> None:
    known = heard(beat(VIDEO, 3_600.0), beat(VIDEO, 3_600.0, worker="b", longest_hold_s=7_500.0))
    (warning,) = known.warnings(600.0)
    assert "held for 2h05m" in warning
    assert "visibility_timeout" in warning
    assert "parked" in warning
    assert heard(beat(VIDEO, 7_501.0, longest_hold_s=7_500.0)).warnings(600.0) == ()


def test_what_is_held_no_more_is_no_trouble_any_more() -> None:
    before = heard(beat(VIDEO, 3_600.0, longest_hold_s=DAY_S))
    assert before.warnings(600.0)
    assert heard(beat(VIDEO, 3_600.0), before=before).warnings(600.0) == ()


def test_a_neighbour_with_a_shorter_one_is_named_and_warns_nobody_of_itself() -> None:
    both = beat(VIDEO, 10_800.0), beat("shop/mail", 3_600.0)
    (warning,) = heard(*both).warnings(600.0)
    assert warning.startswith("the workers of shop/mail share this database")
    longer = beat(VIDEO, 1_800.0), beat("shop/mail", 3_600.0)
    assert heard(*longer).warnings(600.0) == ()


def test_of_many_neighbours_the_one_with_the_shortest_is_named() -> None:
    beats = [beat(f"shop/{n}", 3_600.0 + n) for n in (3, 1, 2)]
    (warning,) = heard(*beats, beat(VIDEO, 10_800.0)).warnings(600.0)
    assert warning.startswith("the workers of shop/1 share")


def test_a_neighbour_need_not_be_a_taskqueue() -> None:
    (warning,) = heard(beat(VIDEO, 10_800.0), beat("", 60.0, worker="by-hand")).warnings(600.0)
    assert warning.startswith("workers that name no TaskQueue share")


def test_the_fleet_s_own_workers_are_no_neighbours_though_they_name_no_fleet() -> None:
    own = [beat("", 60.0, worker="web-1")]
    book = Neighbours()
    book.hear(own, at=0.0)
    known = timeouts_of("", own, book.shortest_but(VIDEO), Timeouts())
    assert known.own_s == 60.0
    assert known.warnings(10.0) == ()


def test_while_no_worker_is_heard_what_was_known_stays() -> None:
    before = heard(beat(VIDEO, 60.0), beat("shop/mail", 30.0))
    assert len(heard(before=before, at=REMEMBERED_S - 1).warnings(600.0)) == 2


def test_a_neighbour_that_was_not_heard_for_long_is_forgotten() -> None:
    before = heard(beat(VIDEO, 60.0), beat("shop/mail", 30.0))
    assert heard(before=before, at=REMEMBERED_S).warnings(10.0) == ()


@pytest.mark.parametrize("longest_task_s", [1.0, 1e9])
def test_before_a_worker_says_it_and_under_another_prefix_nothing_is_told(
    longest_task_s: float,
) -> None:
    assert heard(beat("shop/mail", 30.0)).warnings(longest_task_s) == ()
    before = heard(beat(VIDEO, 60.0), beat("shop/mail", 30.0))
    assert heard(before=before, prefix="shop:").warnings(longest_task_s) == ()

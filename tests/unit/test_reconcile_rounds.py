"""Which fleets come up when: what one asks for costs the others nothing."""

from __future__ import annotations

import pickle

from sluiceway.reconcile.rounds import Pace, Rounds

PACE = Pace(busy_s=2.0, idle_s=10.0)
DAY = 1_000_000.0
"""The time of day when the clock of the rounds shows 0."""


class Clocked:
    """Rounds, and one clock for both times."""

    def __init__(self, *fleets: str, at_rest: bool = True) -> None:
        self.now = 0.0
        self.rounds = Rounds(PACE)
        for fleet in fleets:
            self.rounds.put(fleet)
        self.take()
        for fleet in fleets:
            self.rounds.decided(fleet, at_rest=at_rest, call_at=None)

    def take(self) -> tuple[list[str], set[str]]:
        return self.rounds.take(self.now, DAY + self.now)

    def wait_s(self) -> float:
        return self.rounds.wait_s(self.now, DAY + self.now)


def test_who_works_comes_up_at_the_busy_pace_and_who_rests_at_the_other() -> None:
    clocked = Clocked("video", "mail")
    clocked.rounds.decided("video", at_rest=False, call_at=None)
    assert clocked.wait_s() == 2.0
    clocked.now = 2.0
    assert clocked.take() == (["video"], {"video"})
    clocked.now = 10.0
    keys, routine = clocked.take()
    assert sorted(keys) == ["mail", "video"]
    assert routine == {"mail", "video"}


def test_while_all_rest_nobody_comes_up_at_the_busy_pace() -> None:
    clocked = Clocked("video", "mail")
    assert clocked.wait_s() == 10.0


def test_what_was_touched_comes_up_at_once_first_and_is_no_routine() -> None:
    clocked = Clocked("video", "mail")
    clocked.rounds.touch("mail")
    assert clocked.wait_s() == 0.0
    assert clocked.take() == (["mail"], set())
    clocked.rounds.touch("mail")
    clocked.now = 10.0
    assert clocked.take() == (["mail", "video"], {"video"})


def test_a_named_moment_is_kept_and_the_latest_decision_counts() -> None:
    clocked = Clocked("video", "mail")
    clocked.rounds.decided("video", at_rest=True, call_at=DAY + 3.0)
    clocked.rounds.decided("mail", at_rest=True, call_at=DAY + 1.0)
    clocked.rounds.decided("mail", at_rest=True, call_at=None)
    clocked.now = 3.0
    assert clocked.take() == (["video"], set())
    assert clocked.take() == ([], set())


def test_a_moment_that_is_named_again_and_again_does_not_spin() -> None:
    clocked = Clocked("video")
    clocked.rounds.decided("video", at_rest=True, call_at=DAY)
    assert clocked.wait_s() == 0.05


def test_who_was_dropped_never_comes_up() -> None:
    clocked = Clocked("video")
    clocked.rounds.decided("video", at_rest=False, call_at=DAY)
    clocked.rounds.drop("video")
    assert clocked.rounds.touch("video") is False
    clocked.rounds.decided("video", at_rest=False, call_at=DAY)
    clocked.now = 100.0
    assert clocked.take() == ([], set())


def test_looks_that_take_long_leave_half_of_the_time_to_others() -> None:
    clocked = Clocked("video", at_rest=False)
    clocked.now = 10.0
    clocked.take()
    clocked.rounds.took(10.0, 18.0)
    clocked.now = 18.0
    assert clocked.take() == ([], set())
    assert clocked.wait_s() == 8.0
    clocked.now = 26.0
    assert clocked.take() == (["video"], {"video"})


def test_a_far_moment_that_is_named_anew_with_every_decision_takes_no_more_room() -> None:
    clocked = Clocked("video")
    sizes = []
    for number in range(5_000):
        clocked.rounds.decided("video", at_rest=False, call_at=2 * DAY + number / 8)
        sizes.append(len(pickle.dumps(clocked.rounds)))
    assert max(sizes[2_500:]) <= max(sizes[:2_500])
    clocked.now = DAY + 4_999 / 8
    assert clocked.take()[0] == ["video"]

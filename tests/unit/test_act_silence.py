"""How long somebody has been silent, where the broker may not have been able to hear."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sluiceway.act.silence import LAST_HEARD_S, Silence

FLEET = "shop/work"
PLACE: Any = ("a broker", "")
FULL = "its memory is full"


class Listener:
    """One fleet at one place, looked at every ten seconds of a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.silence = Silence(monotonic=lambda: self.now)

    def look(self, *unheard: str, refused: str = "") -> dict[str, float]:
        self.now += 10.0
        self.silence.read(PLACE, refused)
        return dict(self.silence.of(FLEET, PLACE, unheard))

    def looks(self, refusals: Iterable[str]) -> float:
        """For how long a worker is silent in the end that is heard at none of these looks."""
        silent = [self.look("w", refused=refused)["w"] for refused in refusals]
        return silent[-1]


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_silence_lasts_from_the_first_look_that_finds_it(listener: Listener) -> None:
    assert [listener.look("w")["w"] for _ in range(3)] == [0.0, 10.0, 20.0]


def test_who_is_heard_in_between_begins_anew(listener: Listener) -> None:
    listener.looks(["", "", ""])
    assert listener.look() == {}
    assert listener.look("w") == {"w": 0.0}


def test_what_a_broker_could_not_hear_does_not_count(listener: Listener) -> None:
    assert listener.looks(["", "", FULL, FULL, FULL]) == 10.0
    # Nor does the time in which its workers come back to it.
    assert listener.looks(["", ""]) == 10.0
    assert listener.looks(["", ""]) == 30.0


def test_a_broker_that_cannot_be_read_now_and_then_does_not_hide_a_death_for_ever(
    listener: Listener,
) -> None:
    before = 0.0
    for _ in range(10):
        listener.silence.unread(PLACE)
        silent_s = listener.looks([""] * 6)
        assert silent_s > before
        before = silent_s


def test_of_a_broker_that_is_away_nobody_is_silent_for_as_long(listener: Listener) -> None:
    listener.look("w")
    listener.silence.unread(PLACE)
    listener.now += 1e6
    listener.silence.unread(PLACE)
    assert listener.looks(["", ""]) == 0.0
    assert not listener.silence.is_deaf(PLACE)


def test_a_place_hears_again_when_those_who_live_had_time_to_come_back(
    listener: Listener,
) -> None:
    listener.silence.read(PLACE, FULL)
    deaf = []
    for _ in range(3):
        deaf.append(listener.silence.is_deaf(PLACE))
        listener.look()
    assert (deaf, LAST_HEARD_S) == ([True, True, False], 20.0)

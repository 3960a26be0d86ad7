"""What came of late: how many arrive per second, and how old those are that wait.

A fleet's history keeps the arrivals of one window in a few stretches of time. Messages
are taken in the order in which they came, so those that wait are the last that came, and
each of them has its own time left: a burst has one age, a stream has all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

STRETCHES = 8
"""A window is kept in about as many stretches: a message's age is known that closely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Messages that came after ``since`` and not after ``until``, Unix seconds."""

    since: float
    until: float
    number: int
    """What the backlog grew by, and what was finished. May be negative for a moment: a
    message between queue and heartbeat is missing in one reading and back in the next."""


def with_news(
    stretches: Sequence[Stretch], *, since: float, until: float, came: int, window_s: float
) -> tuple[Stretch, ...]:
    """``stretches`` of the last ``window_s``, and what came between two readings."""
    kept = [one for one in stretches if one.until > until - window_s]
    if kept and until - kept[-1].since <= window_s / STRETCHES:
        kept[-1] = replace(kept[-1], until=until, number=kept[-1].number + came)
    elif came:
        kept.append(Stretch(since=since, until=until, number=came))
    return tuple(kept)


def rate_per_s(stretches: Sequence[Stretch], at: float, window_s: float) -> float:
    """Messages per second over the ``window_s`` before ``at``."""
    begins = at - window_s
    total = 0.0
    for one in stretches:
        length = one.until - one.since
        inside = min(length, max(0.0, one.until - begins))
        # Spread evenly: after a gap of an hour an hour's messages must not look like the
        # window's.
        total += one.number * (inside / length if length > 0 else 1.0)
    return total / window_s


def ages(
    stretches: Sequence[Stretch], *, waiting: int, oldest_wait_s: float, now: float
) -> list[tuple[int, float]]:
    """The waiting messages as (how many, how long they have waited at most), oldest first.

    Those that no stretch tells of have waited as long as the oldest.
    """
    groups: list[tuple[int, float]] = []
    for one in reversed(stretches):
        age = now - one.since
        # One at least is the oldest.
        number = min(waiting - 1, max(0, one.number))
        if age >= oldest_wait_s or waiting <= 1:
            break
        if number:
            groups.append((number, age))
            waiting -= number
    if waiting > 0:
        groups.append((waiting, oldest_wait_s))
    groups.reverse()
    return groups

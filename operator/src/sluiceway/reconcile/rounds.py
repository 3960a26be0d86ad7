"""Which fleets of a broker are to be looked at when. Pure; the clocks are arguments.

Those at rest come up seldom, those with work or workers often, and each at once when
something about it changed or at the moment that its last decision named. What one of
them asks for costs nothing for the others, so ten thousand at rest stay cheap.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often a broker is looked at, seconds."""

    busy_s: float = 2.0
    """For fleets that have workers or work."""
    idle_s: float = 10.0
    """For those at rest; the broker says when a queue changes, or those that it
    cannot say it of are looked at every second."""
    together_s: float = 0.03
    """From the beginning of one look to the next, at least: the first of many changes is
    looked at when it comes, and those that follow are looked at together, which costs half
    as much for each."""


SHORTEST_S = 0.05
"""Between two looks that decisions asked for: a moment named twice must not spin."""

_OLD = 100
"""So many calls that were taken back may stand in the heap besides as many as hold: a
fleet that asks for tomorrow, every two seconds anew, must not fill it until then."""

_SHARE = 0.5
"""Of the time, at most, goes into looks that nothing but the pace asks for."""


class Rounds:
    """The fleets by name, and when each comes up. ``now`` never goes back; ``at`` is the
    time of day, Unix seconds."""

    def __init__(self, pace: Pace) -> None:
        """No fleets yet."""
        self._pace = pace
        self._fleets: dict[str, None] = {}
        self._awake: set[str] = set()
        self._touched: dict[str, None] = {}
        """In the order of touching: who waits longest comes first."""
        self._calls: list[tuple[float, str]] = []
        self._call_of: dict[str, float] = {}
        """When each asked to be looked at, Unix seconds; the heap has old ones, too."""
        self._all_due = self._awake_due = float("-inf")

    def put(self, key: str) -> None:
        """It is to be looked at, the first time at once."""
        if key not in self._fleets:
            self._fleets[key] = None
            self._awake.add(key)
        self.touch(key)

    def drop(self, key: str) -> None:
        """It is not to be looked at any more."""
        self._fleets.pop(key, None)
        self._awake.discard(key)
        self._touched.pop(key, None)
        self._call_of.pop(key, None)

    def touch(self, key: str) -> bool:
        """Something about it changed; False where nobody looks at it."""
        if key not in self._fleets:
            return False
        self._touched[key] = None
        return True

    def decided(self, key: str, *, at_rest: bool, call_at: float | None) -> None:
        """It was looked at.

        Args:
            call_at: when it asks to be looked at again at the latest, Unix seconds.
        """
        if key not in self._fleets:
            return
        if at_rest:
            self._awake.discard(key)
        else:
            self._awake.add(key)
        self._call_of.pop(key, None)
        if call_at is not None:
            self._call_of[key] = call_at
            heapq.heappush(self._calls, (call_at, key))
            if len(self._calls) > 2 * len(self._call_of) + _OLD:
                self._calls = [(moment, caller) for caller, moment in self._call_of.items()]
                heapq.heapify(self._calls)

    def take(self, now: float, at: float) -> tuple[list[str], set[str]]:
        """The fleets to look at now, and those among them that only the pace asks for."""
        found = dict(self._touched)
        self._touched.clear()
        while self._calls and self._calls[0][0] <= at:
            called_at, key = heapq.heappop(self._calls)
            if self._call_of.get(key) == called_at:
                del self._call_of[key]
                found[key] = None
        routine: set[str] = set()
        if now >= self._all_due:
            routine = self._fleets.keys() - found.keys()
            self._all_due = now + self._pace.idle_s
            self._awake_due = now + self._pace.busy_s
        elif now >= self._awake_due:
            routine = self._awake - found.keys()
            self._awake_due = now + self._pace.busy_s
        return [*found, *routine], routine

    def took(self, began: float, ended: float) -> None:
        """A look took so long: others, and the machine, are to have their share, too."""
        until = began + (ended - began) / _SHARE
        self._all_due = max(self._all_due, until)
        self._awake_due = max(self._awake_due, until)

    def wait_s(self, now: float, at: float) -> float:
        """Until somebody comes up if nothing is touched before."""
        if self._touched:
            return 0.0
        due_in = (self._awake_due if self._awake else self._all_due) - now
        due_in = min(due_in, self._all_due - now)
        if self._calls:
            due_in = min(due_in, max(self._calls[0][0] - at, SHORTEST_S))
        return max(due_in, 0.0)

"""Whether the operator makes progress, and whether it is ready. Pure: the clock is handed in.

A port that answers proves nothing: the loop behind it may wait for ever. So whatever
has to go on gives a beat each time it comes round, and a beat that is overdue names
what stands still. A beat proves an attempt and not its success: an API server that is
down is no reason to restart the operator, and a loop that does not try any more is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """One thing that has to go on, and how it does."""

    ago_s: float
    """Since its last beat."""
    limit_s: float
    """It stands still when that is longer."""

    @property
    def overdue(self) -> bool:
        """Whether it stands still."""
        return self.ago_s > self.limit_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """All of them at one moment."""

    beats: Mapping[str, Moved]

    @property
    def alive(self) -> bool:
        """Whether all of them go on."""
        return not any(moved.overdue for moved in self.beats.values())

    @property
    def problem(self) -> str | None:
        """What stands still and for how long, as a sentence; None while nothing does."""
        overdue = [
            f"{name} has not moved for {moved.ago_s:.0f} s (limit {moved.limit_s:.0f} s)"
            for name, moved in self.beats.items()
            if moved.overdue
        ]
        return "; ".join(overdue) or None


@dataclass(slots=True)
class _Beat:
    at: float
    limit_s: float


class Heartbeats:
    """The beats of one process. One event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing has to go on yet.

        Args:
            clock: seconds, never goes back.
        """
        self._clock = clock
        self._beats: dict[str, _Beat] = {}

    def expect(self, name: str, limit_s: float) -> Callable[[], None]:
        """From now on this has to go on; its first beat is this moment.

        Args:
            name: what it is, for sentences, such as ``ticks``.
            limit_s: the longest time between two beats in good order, and some more.

        Returns:
            What to call each time it comes round; of no effect once it is forgotten.
        """
        mine = _Beat(at=self._clock(), limit_s=limit_s)
        self._beats[name] = mine

        def beat() -> None:
            mine.at = self._clock()

        return beat

    def forget(self, name: str) -> None:
        """It has come to its end in good order."""
        self._beats.pop(name, None)

    def health(self) -> Health:
        """How all of them do at this moment."""
        now = self._clock()
        return Health(
            beats={
                name: Moved(ago_s=now - beat.at, limit_s=beat.limit_s)
                for name, beat in self._beats.items()
            }
        )


Missing = Callable[[], str | None]
"""Why something is not there yet, as a sentence; None once it is."""


def not_ready(needs: Mapping[str, Missing]) -> dict[str, str]:
    """What is missing before this replica can do its part: name → sentence.

    Args:
        needs: such as the first lists of the watches, or standing for leadership.
    """
    return {name: why for name, missing in needs.items() if (why := missing()) is not None}

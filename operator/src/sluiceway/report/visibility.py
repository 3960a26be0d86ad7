"""Whether a visibility timeout gives messages away that are still held or at work. Pure.

kombu's timeout is one for all that is held under a key prefix of a database: whoever
sweeps restores everything that is older than its own setting, whosever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from sluiceway.broker.reading import Heard
from sluiceway.report.words import seconds
from sluiceway_worker.heartbeat import Heartbeat

REMEMBERED_S = 3600.0
"""For so long a neighbour counts that was heard once: a fleet at zero comes back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a neighbour's workers said last."""

    timeout_s: float
    at: float
    """Unix seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """What is known of one fleet's timeout, and of those that its messages may meet."""

    prefix: str = ""
    own_s: float | None = None
    """The shortest of its workers'; None before one said it."""
    hold_s: float | None = None
    """The longest that one of them holds a task for its ETA; None while none is held."""
    shortest: tuple[str, float] | None = None
    """The neighbours with the shortest one, as a sentence calls them, and what it is."""

    def warnings(self, longest_task_s: float) -> tuple[str, ...]:
        """What is to be mended, as sentences.

        Args:
            longest_task_s: ``worker.longestTask``.
        """
        return () if self.own_s is None else tuple(self._warnings(self.own_s, longest_task_s))

    def _warnings(self, own_s: float, longest_task_s: float) -> Iterator[str]:
        if own_s <= longest_task_s:
            yield (
                f"the workers' visibility timeout is {seconds(own_s)}, and worker.longestTask is "
                f"{seconds(longest_task_s)}: what a silent worker still runs is given to another; "
                f"{_RAISE} above longestTask"
            )
        if self.hold_s is not None and own_s <= self.hold_s:
            yield (
                f"the workers' visibility timeout is {seconds(own_s)}, and a task is held for "
                f"{seconds(self.hold_s)} until its ETA: of a worker that is silent, or takes with "
                f"BRPOP, it is given to another meanwhile; {_RAISE} above the longest countdown, "
                "or let what is far ahead be parked (not with acks: early, nor while paused)"
            )
        who, shorter_s = self.shortest or ("", own_s)
        if shorter_s < own_s:
            yield (
                f"{who} share this database and key prefix, and their visibility timeout is "
                f"{seconds(shorter_s)} where it is {seconds(own_s)} here: the shorter one counts "
                "for all; give both applications the same, or another key prefix"
            )


_RAISE = "set visibility_timeout in the application's broker_transport_options"


class Neighbours:
    """All who are heard under one key prefix, and what they said last: one book for every
    fleet there, or ten thousand fleets would each keep all others'."""

    def __init__(self) -> None:
        """Nobody was heard."""
        self._said: dict[str, Said] = {}
        self._shortest: list[tuple[float, str]] = []

    def hear(self, heard: Iterable[Heard], at: float) -> None:
        """Take in all heartbeats of one look.

        Args:
            at: now, Unix seconds.
        """
        now: dict[str, float] = {}
        for beat in (one.heartbeat for one in heard):
            who = _name(beat)
            now[who] = min(now.get(who, beat.visibility_timeout_s), beat.visibility_timeout_s)
        self._said |= {who: Said(timeout_s=timeout_s, at=at) for who, timeout_s in now.items()}
        self._said = {w: s for w, s in self._said.items() if at - s.at < REMEMBERED_S}
        # Whoever asks is one of these: the second shortest is there for the shortest.
        self._shortest = nsmallest(2, ((said.timeout_s, who) for who, said in self._said.items()))

    def shortest_but(self, fleet: str) -> tuple[str, float] | None:
        """The shortest of all others, and whose it is; None where nobody else was heard."""
        own = _workers_of(fleet)
        return next(((who, shorter_s) for shorter_s, who in self._shortest if who != own), None)


def timeouts_of(
    prefix: str, own: Iterable[Heard], shortest: tuple[str, float] | None, before: Timeouts
) -> Timeouts:
    """What is known after another look.

    Args:
        own: the fleet's heartbeats; none where they could not be read.
        shortest: as ``Neighbours.shortest_but`` has it.
        before: what was known.
    """
    if before.prefix != prefix:
        before = Timeouts(prefix=prefix)
    beats = [one.heartbeat for one in own]
    holds = (beat.longest_hold_s for beat in beats)
    return Timeouts(
        prefix=prefix,
        own_s=min((one.visibility_timeout_s for one in beats), default=before.own_s),
        hold_s=max((hold_s for hold_s in holds if hold_s is not None), default=None),
        shortest=shortest,
    )


def _name(beat: Heartbeat) -> str:
    return _workers_of(beat.fleet) if beat.fleet else "workers that name no TaskQueue"


def _workers_of(fleet: str) -> str:
    return f"the workers of {fleet}"

"""Whether a visibility timeout gives messages away that are still held or at work. Pure.

kombu's timeout is one for all that is held under a key prefix of a database: whoever
sweeps restores everything that is older than its own setting, whosever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sluiceway.broker.reading import Heard
from sluiceway.report.words import seconds
from sluiceway_worker.wire import Heartbeat

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
    neighbours: Mapping[str, Said] = field(default_factory=dict)
    """By what a sentence calls them."""

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
        who = min(
            self.neighbours, key=lambda one: (self.neighbours[one].timeout_s, one), default=""
        )
        if who and (shorter_s := self.neighbours[who].timeout_s) < own_s:
            yield (
                f"{who} share this database and key prefix, and their visibility timeout is "
                f"{seconds(shorter_s)} where it is {seconds(own_s)} here: the shorter one counts "
                "for all; give both applications the same, or another key prefix"
            )


_RAISE = "set visibility_timeout in the application's broker_transport_options"


def timeouts_of(
    fleet: str,
    prefix: str,
    own: Iterable[Heard],
    heard: Iterable[Heard],
    before: Timeouts,
    *,
    at: float,
) -> Timeouts:
    """What is known after another look.

    Args:
        fleet: ``namespace/name``.
        own: its heartbeats.
        heard: all heartbeats under its key prefix, whosever they are. None of either where
            they could not be read.
        before: what was known.
        at: now, Unix seconds.
    """
    if before.prefix != prefix:
        before = Timeouts(prefix=prefix)
    beats = {one.heartbeat.incarnation: one.heartbeat for one in own}
    others: dict[str, Said] = {}
    for beat in (one.heartbeat for one in heard):
        if beat.fleet != fleet and beat.incarnation not in beats:
            who, timeout_s = _name(beat), beat.visibility_timeout_s
            known_s = others[who].timeout_s if who in others else timeout_s
            others[who] = Said(timeout_s=min(known_s, timeout_s), at=at)
    holds = (beat.longest_hold_s for beat in beats.values())
    remembered = {w: s for w, s in before.neighbours.items() if at - s.at < REMEMBERED_S}
    return Timeouts(
        prefix=prefix,
        own_s=min((one.visibility_timeout_s for one in beats.values()), default=before.own_s),
        hold_s=max((hold_s for hold_s in holds if hold_s is not None), default=None),
        neighbours={**remembered, **others},
    )


def _name(beat: Heartbeat) -> str:
    return f"the workers of {beat.fleet}" if beat.fleet else "workers that name no TaskQueue"

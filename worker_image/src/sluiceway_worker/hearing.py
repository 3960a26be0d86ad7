"""Whether the broker has heard of this worker without a gap.

A worker whose heartbeat is gone may be taken for dead, and its messages be elsewhere. After
a gap (it was frozen, or the broker away) and after a lost connection, what it knows of its
messages is in doubt, until Redis has said what is held in its name.
"""

from __future__ import annotations

from time import monotonic

from sluiceway_worker import wire

_SILENCE_S = wire.HEARTBEAT_TTL_MS / 1000


class Hearing:
    """Of one worker, in its whole life. Any thread may tell it and ask it."""

    def __init__(self) -> None:
        self._heard_at = float("inf")
        self._doubt = False

    @property
    def in_doubt(self) -> bool:
        """Whether what the worker knows of its messages may be out of date."""
        return self._doubt or monotonic() - self._heard_at > _SILENCE_S

    def heard(self, now: float) -> None:
        """The broker has just heard of it; a gap before that leaves a doubt behind."""
        if now - self._heard_at > _SILENCE_S:
            self._doubt = True
        self._heard_at = now

    def connected(self, *, anew: bool) -> None:
        """A connection is made; one that was lost before it leaves a doubt behind."""
        self._doubt = anew
        self._heard_at = monotonic()

    def squared(self) -> None:
        """The broker has said what is held in its name, and all agree."""
        self._heard_at = monotonic()
        self._doubt = False

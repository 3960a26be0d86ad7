"""For how long nothing has been heard of a worker that could have been heard.

A heartbeat is a write. A broker that takes none, because too few replicas follow it, its
disk or its memory is full, makes all of its workers silent, and they work on; so does one that
cannot be read. Silence says nothing then. It is measured from one look to the next, and only
between looks that found a broker to which every worker could speak.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from sluiceway.broker.connection import Broker
from sluiceway_worker.wire import HEARTBEAT_TTL_MS

log = logging.getLogger(__name__)

Place = tuple[Broker, str]
"""A broker, and a key prefix there."""

LAST_HEARD_S = 2 * HEARTBEAT_TTL_MS / 1000
"""So long after its end a heartbeat may be a dead worker's last; later it is a living one's.
And so long after a broker took none, those who live may not have come to it again."""


class Silence:
    """Listens at all places, for all fleets."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Nobody is silent yet."""
        self._monotonic = monotonic
        self._silent: dict[str, dict[str, float]] = {}
        """By fleet and incarnation, seconds."""
        self._listened: dict[str, float] = {}
        """When a fleet was listened to last, if it could be heard then, monotonic."""
        self._deaf: dict[Place, float] = {}
        """When it was seen last that a place takes no heartbeats, or cannot be read, monotonic."""

    def unread(self, place: Place) -> None:
        """A place could not be looked at."""
        self._deaf[place] = self._monotonic()

    def read(self, place: Place, refused: str) -> None:
        """A place was looked at.

        Args:
            refused: why it takes no heartbeats at this moment, as a sentence; "" where it does.
        """
        now = self._monotonic()
        if refused:
            if place not in self._deaf:
                log.warning("silence proves no worker's death for now: %s", refused)
            self._deaf[place] = now
        elif place in self._deaf and now - self._deaf[place] >= LAST_HEARD_S:
            del self._deaf[place]

    def is_deaf(self, place: Place) -> bool:
        """Whether who lives may not be heard there, for reasons of the broker's."""
        return place in self._deaf

    def of(self, fleet: str, place: Place, unheard: Iterable[str]) -> Mapping[str, float]:
        """For how long these incarnations have been silent, seconds; a look at their fleet.

        Args:
            fleet: ``namespace/name``.
            place: where they would be heard; it was just read.
            unheard: all of the fleet who are not heard now. Who is not among them begins anew.
        """
        now = self._monotonic()
        last = self._listened.pop(fleet, now)
        if not self.is_deaf(place):
            self._listened[fleet] = now
        passed_s = now - last if fleet in self._listened else 0.0
        before = self._silent.get(fleet, {})
        self._silent[fleet] = {
            one: before[one] + passed_s if one in before else 0.0 for one in unheard
        }
        return self._silent[fleet]

    def begin_anew(self, fleet: str, incarnation: str) -> None:
        """The silence of one counts from its next look."""
        self._silent.get(fleet, {}).pop(incarnation, None)

    def forget(self, fleet: str) -> None:
        """Nobody of this fleet is listened to."""
        self._silent.pop(fleet, None)
        self._listened.pop(fleet, None)

    def keep(self, places: Collection[Place]) -> None:
        """Forget all other places."""
        self._deaf = {place: at for place, at in self._deaf.items() if place in places}

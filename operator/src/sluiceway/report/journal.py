"""The last things that were seen and decided, kept in memory for whoever asks.

Reconcile writes into it after every tick; the live view, ``explain`` and the
samples of a plot read from it. Bounded: a fleet costs the same after a year.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping

from sluiceway.report.events import Event, events_between
from sluiceway.report.status import FleetStatus

HISTORY = 3_600
"""Statuses kept of each fleet: two hours at a tick every two seconds."""

CHANGES = 20
"""Decisions that changed something, kept of each fleet for ``explain``."""

EVENTS = 200


class Journal:
    """What happened to all fleets. One writer, any number of readers, one event loop."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self._length = history
        self._history: dict[str, deque[FleetStatus]] = {}
        self._changes: dict[str, deque[FleetStatus]] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._readers: set[asyncio.Queue[Event]] = set()
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, status: FleetStatus) -> None:
        """Take a fleet's newest status in, and tell what changed."""
        past = self._history.setdefault(status.fleet, deque(maxlen=self._length))
        before = past[-1] if past else None
        past.append(status)
        happened = events_between(before, status)
        if before is None or happened:
            self._changes.setdefault(status.fleet, deque(maxlen=CHANGES)).append(status)
        for event in happened:
            self.tell(event)
        self._wake()

    def tell(self, event: Event) -> None:
        """Take in an event that no status shows, such as a worker's end."""
        self._events.append(event)
        for reader in self._readers:
            reader.put_nowait(event)

    @property
    def statuses(self) -> Mapping[str, FleetStatus]:
        """The newest status of every fleet that has one."""
        return {fleet: past[-1] for fleet, past in self._history.items()}

    def history(self, fleet: str) -> tuple[FleetStatus, ...]:
        """The statuses of one fleet, oldest first: samples of its numbers over time."""
        return tuple(self._history.get(fleet, ()))

    def changes(self, fleet: str) -> tuple[FleetStatus, ...]:
        """Those of them at which something changed, oldest first."""
        return tuple(self._changes.get(fleet, ()))

    @property
    def events(self) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        return tuple(self._events)

    async def follow(self) -> AsyncIterator[Event]:
        """Events from now on, as they happen."""
        reader: asyncio.Queue[Event] = asyncio.Queue()
        self._readers.add(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.discard(reader)

    async def until(self, holds: Callable[[Mapping[str, FleetStatus]], bool]) -> None:
        """Wait until ``holds`` is true of the newest statuses; looked at after each tick."""
        while not holds(self.statuses):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

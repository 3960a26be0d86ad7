"""Which fleets to look at now, said by their brokers the moment a queue changes.

Only fleets that could act are armed: one that is paused, or at its maximum, would
wake for nothing. Where a broker cannot wake, its armed fleets come up every second
instead, and the reason is there for the status.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Container, Iterable

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.reading import BrokerQueue
from sluiceway.broker.wake import Waker
from sluiceway.observe.watched import Watched

POLL_S = 1.0
"""How often fleets are looked at whose broker cannot wake."""

FIRST_TRY_S = 0.25
"""How long arming waits for a new broker's connection, at most."""

_Place = tuple[BrokerAddress, BrokerQueue]


class Places:
    """How many brokers may hold a connection open to wake."""

    def __init__(self, most: int) -> None:
        """All are free."""
        self.most = most
        self._free = most

    def take(self) -> bool:
        """Take one; False where none is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Its connection is closed."""
        self._free += 1


class Waking:
    """Waits until a queue of an armed fleet changes."""

    def __init__(self, *, timeout_s: float = 2.0, places: Places | None = None) -> None:
        """Nothing is armed.

        Args:
            timeout_s: for a connection to stand.
            places: shared with others; None where nobody counts.
        """
        self._timeout_s = timeout_s
        self._connections = places
        self._wakers: dict[BrokerAddress, Waker] = {}
        self._fleets: dict[_Place, set[str]] = {}
        self._places: dict[str, list[_Place]] = {}
        self._armed: defaultdict[BrokerAddress, set[BrokerQueue]] = defaultdict(set)
        self._address_of: dict[str, BrokerAddress] = {}
        self._in_use: Counter[BrokerAddress] = Counter()
        """How many fleets each broker has, also those that are not armed."""
        self._woken: set[str] = set()
        self._event = asyncio.Event()

    async def arm(self, fleets: Iterable[Watched], *, acting: Container[str]) -> None:
        """Say of these fleets who should wake from now on; for all others nothing changes.

        A queue that is not empty when it is armed wakes at once. Brokers of which all fleets
        were dropped are hung up on.

        Args:
            acting: keys (``namespace/name``) of those that could act.
        """
        changed: set[BrokerAddress] = set()
        for watched in fleets:
            self._moved(watched.key, watched.address)
            if watched.address is None:
                continue
            places = [(watched.address, queue) for queue in watched.broker_queues]
            changed |= self._rearm(watched.key, places if watched.key in acting else [])
        without = self._armed.keys() - self._wakers.keys()
        new = {one: self._waker(one) for one in without if self._armed[one] and self._has_place()}
        changed |= new.keys()
        self._wakers |= new
        self._tell(changed)
        for address in self._wakers.keys() - self._in_use.keys():
            await self._close(address)
        if new:
            # So that nobody reads of a problem where there is only a beginning.
            tries = [asyncio.ensure_future(waker.tried.wait()) for waker in new.values()]
            _, unsettled = await asyncio.wait(tries, timeout=FIRST_TRY_S)
            for one in unsettled:
                one.cancel()

    def drop(self, key: str) -> None:
        """A fleet is watched no more."""
        self._tell(self._rearm(key, []))
        self._moved(key, None)

    def _moved(self, key: str, address: BrokerAddress | None) -> None:
        before = self._address_of.pop(key, None)
        if before is not None:
            self._in_use[before] -= 1
        if address is not None:
            self._address_of[key] = address
            self._in_use[address] += 1
        if before is not None and not self._in_use[before]:
            del self._in_use[before]

    def _rearm(self, key: str, places: list[_Place]) -> set[BrokerAddress]:
        """Where the armed queues are others by now."""
        before = self._places.get(key, [])
        if places == before:
            return set()
        changed: set[BrokerAddress] = set()
        for place in before:
            self._fleets[place].discard(key)
            if not self._fleets[place]:
                del self._fleets[place]
                self._armed[place[0]].discard(place[1])
                changed.add(place[0])
        for place in places:
            if place not in self._fleets:
                self._fleets[place] = set()
                self._armed[place[0]].add(place[1])
                changed.add(place[0])
            self._fleets[place].add(key)
        self._places.pop(key, None)
        if places:
            self._places[key] = places
        return changed

    def _tell(self, changed: set[BrokerAddress]) -> None:
        for address in changed & self._wakers.keys():
            self._wakers[address].arm(frozenset(self._armed[address]))

    def problem(self, watched: Watched) -> str | None:
        """Why this fleet is polled and not woken; None while it wakes, or is not armed."""
        if watched.address is None:
            return watched.problem or "the TaskQueue names no broker"
        for address, queue in self._places.get(watched.key, []):
            waker = self._wakers.get(address)
            if waker is None:
                return self._no_place()
            if waker.problem is not None:
                return waker.problem
            if why := waker.problems().get(queue):
                return f"queue {queue.name}: the broker refuses to watch it ({why})"
        return None

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The keys of the fleets to look at: as soon as there is one, else after the time.

        Returns:
            Those whose queues changed, and every second those whose broker cannot
            wake; empty when the time passed and nothing happened.
        """
        until = time.monotonic() + timeout_s
        while True:
            polled = self._polled()
            left = until - time.monotonic()
            try:
                async with asyncio.timeout(max(min(left, POLL_S) if polled else left, 0)):
                    await self._event.wait()
            except TimeoutError:
                return frozenset(polled)
            self._event.clear()
            woken, self._woken = self._woken, set()
            if found := woken & self._places.keys():
                return frozenset(found)

    async def close(self) -> None:
        """Hang up on all brokers."""
        for address in list(self._wakers):
            await self._close(address)

    async def _close(self, address: BrokerAddress) -> None:
        await self._wakers.pop(address).close()
        if self._connections is not None:
            self._connections.give_back()

    def _has_place(self) -> bool:
        return self._connections is None or self._connections.take()

    def _no_place(self) -> str:
        most = self._connections.most if self._connections is not None else 0
        return (
            f"{most} brokers hold a connection open to wake already (--waking-connections); "
            "this one is asked every second instead"
        )

    def _waker(self, address: BrokerAddress) -> Waker:
        waker = Waker(
            address,
            lambda queues: self._wake({(address, queue) for queue in queues}),
            timeout_s=self._timeout_s,
        )
        waker.start()
        return waker

    def _wake(self, places: set[_Place]) -> None:
        for place in places:
            self._woken |= self._fleets.get(place, set())
        self._event.set()

    def _polled(self) -> set[str]:
        """Armed fleets with a queue that would not wake."""
        deaf = {a for a, waker in self._wakers.items() if waker.problem is not None}
        deaf |= {a for a, queues in self._armed.items() if queues and a not in self._wakers}
        refused = {(a, q) for a, waker in self._wakers.items() for q in waker.problems()}
        if not deaf and not refused:
            return set()
        return {
            key
            for place, keys in self._fleets.items()
            if place[0] in deaf or place in refused
            for key in keys
        }

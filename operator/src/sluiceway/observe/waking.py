"""Which fleets to look at now, said by their brokers the moment a queue changes.

Only fleets that could act are armed: one that is paused, or at its maximum, would
wake for nothing. Where a broker cannot wake, its armed fleets come up every second
instead, and the reason is there for the status.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
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


class Waking:
    """Waits until a queue of an armed fleet changes."""

    def __init__(self, *, timeout_s: float = 2.0) -> None:
        """Nothing is armed.

        Args:
            timeout_s: for a connection to stand.
        """
        self._timeout_s = timeout_s
        self._wakers: dict[BrokerAddress, Waker] = {}
        self._fleets: dict[_Place, set[str]] = {}
        self._places: dict[str, list[_Place]] = {}
        self._woken: set[str] = set()
        self._event = asyncio.Event()

    async def arm(self, fleets: Iterable[Watched], *, acting: Container[str]) -> None:
        """Say who should wake from now on, in place of those before.

        A queue that is not empty when it is armed wakes at once.

        Args:
            fleets: all that are watched; brokers of none of them are hung up on.
            acting: keys (``namespace/name``) of those that could act.
        """
        addresses: set[BrokerAddress] = set()
        armed: defaultdict[BrokerAddress, set[BrokerQueue]] = defaultdict(set)
        self._fleets, self._places = {}, {}
        for watched in fleets:
            if watched.address is None:
                continue
            addresses.add(watched.address)
            if watched.key not in acting:
                continue
            for queue in watched.broker_queues:
                armed[watched.address].add(queue)
                place = (watched.address, queue)
                self._fleets.setdefault(place, set()).add(watched.key)
                self._places.setdefault(watched.key, []).append(place)
        for address in self._wakers.keys() - addresses:
            await self._wakers.pop(address).close()
        new = {address: self._waker(address) for address in armed.keys() - self._wakers.keys()}
        self._wakers |= new
        for address, waker in self._wakers.items():
            waker.arm(frozenset(armed[address]))
        if new:
            # So that nobody reads of a problem where there is only a beginning.
            tries = [asyncio.ensure_future(waker.tried.wait()) for waker in new.values()]
            _, unsettled = await asyncio.wait(tries, timeout=FIRST_TRY_S)
            for one in unsettled:
                one.cancel()

    def problem(self, watched: Watched) -> str | None:
        """Why this fleet is polled and not woken; None while it wakes, or is not armed."""
        if watched.address is None:
            return watched.problem or "the TaskQueue names no broker"
        for address, queue in self._places.get(watched.key, []):
            waker = self._wakers[address]
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
        for waker in self._wakers.values():
            await waker.close()
        self._wakers = {}

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
        refused = {(a, q) for a, waker in self._wakers.items() for q in waker.problems()}
        return {
            key
            for place, keys in self._fleets.items()
            if place[0] in deaf or place in refused
            for key in keys
        }

"""The loop of ticks: who is due, one look at the broker for all of them, and the four steps
for each about whom something may have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress

from sluiceway.observe import Reading, Watched
from sluiceway.reconcile.edges import Commands, Fleet, Reader, Reporter, Wakes
from sluiceway.reconcile.one_fleet import OneFleet
from sluiceway.reconcile.past import Past
from sluiceway.reconcile.prefixes import Prefixes
from sluiceway.reconcile.rounds import Pace, Rounds

_LISTEN_S = 60.0
"""How long one wait for the broker lasts before it is begun again."""

_SLICE = 100
"""Fleets between which the event loop is given to others: a Lease must be renewed."""

_TICK_S = 5.0
"""What a tick does not come to in this time is left to the next, which follows at once: a
lease that asks a worker to drain lasts three times as long, and those come first."""


class BrokerLoop:
    """The ticks of all fleets on one broker."""

    def __init__(
        self,
        *,
        reader: Reader,
        leases: Callable[[Watched], Commands],
        wakes: Wakes,
        report: Reporter,
        clock: Callable[[], float],
        pace: Pace,
        ticked: Callable[[float], None] = lambda _: None,
    ) -> None:
        """No fleets yet.

        Args:
            clock: the time of day, Unix seconds.
            ticked: told after every tick how long it took, seconds.
        """
        self._reader = reader
        self._wakes = wakes
        self._report = report
        self._clock = clock
        self._pace = pace
        self._rounds = Rounds(pace)
        self._prefixes = Prefixes(leases=leases, report=report, clock=clock)
        self._one_fleet = OneFleet(
            leases=leases,
            wakes=wakes,
            report=report,
            rounds=self._rounds,
            prefixes=self._prefixes,
        )
        self._ticked = ticked
        self._fleets: dict[str, Fleet] = {}
        self._pasts: dict[str, Past] = {}
        self._something = asyncio.Event()

    def put(self, fleet: Fleet) -> None:
        """Take a fleet in, or its new spec, and look at it at once."""
        key = fleet.watched.key
        self._fleets[key] = fleet
        self._pasts.setdefault(key, Past())
        self._rounds.put(key)
        self._something.set()

    def drop(self, key: str) -> None:
        """Leave a fleet alone from now on."""
        self._fleets.pop(key, None)
        self._pasts.pop(key, None)
        self._rounds.drop(key)
        self._wakes.drop(key)

    def touch(self, key: str) -> None:
        """Something about this fleet changed: look at it at once."""
        if self._rounds.touch(key):
            self._something.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._tick_on())

    async def _listen(self) -> None:
        while True:
            for key in await self._wakes.wait(_LISTEN_S):
                self.touch(key)

    async def _tick_on(self) -> None:
        monotonic = asyncio.get_running_loop().time
        while True:
            self._something.clear()
            began = monotonic()
            keys, routine = self._rounds.take(began, self._clock())
            if keys:
                await self.tick(keys, routine=routine)
                self._rounds.took(began, monotonic())
            self._ticked(monotonic() - began)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rounds.wait_s(monotonic(), self._clock())):
                    await self._something.wait()
            await asyncio.sleep(max(0.0, began + self._pace.together_s - monotonic()))

    async def tick(self, keys: Iterable[str], *, routine: Container[str] = ()) -> None:
        """Look at these fleets in one round trip, decide, act and report for each.

        Args:
            routine: those of which nothing says that they changed.
        """
        fleets = [self._fleets[key] for key in keys if key in self._fleets]
        try:
            await self._look(fleets, routine)
        except Exception as exc:  # a defect: a broker's trouble comes as a reading
            for fleet in fleets:
                self._report.failed(fleet.watched.key, self._clock(), exc)

    async def _look(self, fleets: Sequence[Fleet], routine: Container[str]) -> None:
        reading = await self._reader.read([fleet.watched for fleet in fleets])
        self._prefixes.hear(fleets, reading)
        anew = await self._but_the_still(fleets, reading, routine)
        looked_at = await self._in_slices(anew, reading)
        await self._prefixes.tidy(fleets, looked_at, self._pasts, reading)
        await self._wakes.arm(
            (fleet.watched for fleet in looked_at),
            acting={key for fleet in looked_at if self._acts(key := fleet.watched.key)},
        )

    async def _but_the_still(
        self, fleets: Sequence[Fleet], reading: Reading, routine: Container[str]
    ) -> list[Fleet]:
        """Those about which something may have changed; of the others it is told that nothing
        has."""
        anew = []
        for number, fleet in enumerate(fleets):
            key, now = fleet.watched.key, self._clock()
            past = self._pasts.get(key)
            if past is None:
                continue
            if key in routine and self._is_still(fleet, past, reading, now):
                past.still_at = now
                self._report.still(key, now)
            else:
                anew.append(fleet)
            if number % (10 * _SLICE) == 0:
                await asyncio.sleep(0)
        # Who holds leases must renew them in time.
        return sorted(anew, key=lambda fleet: not self._has_leases(fleet))

    def _has_leases(self, fleet: Fleet) -> bool:
        past = self._pasts.get(fleet.watched.key)
        return past is not None and bool(past.leased)

    def _acts(self, key: str) -> bool:
        past = self._pasts.get(key)
        return past is not None and past.acting

    def _is_still(self, fleet: Fleet, past: Past, reading: Reading, now: float) -> bool:
        if past.still is None:
            return False
        return past.still.holds(fleet, reading, self._wakes.problem(fleet.watched), now)

    async def _in_slices(self, fleets: Sequence[Fleet], reading: Reading) -> list[Fleet]:
        """Those that were come to; the others are for the next tick."""
        monotonic = asyncio.get_running_loop().time
        until = monotonic() + _TICK_S
        for start in range(0, len(fleets), _SLICE):
            if monotonic() > until:
                for fleet in fleets[start:]:
                    self.touch(fleet.watched.key)
                return list(fleets[:start])
            some = [
                (fleet, past)
                for fleet in fleets[start : start + _SLICE]
                if (past := self._pasts.get(fleet.watched.key)) is not None
            ]
            await asyncio.gather(*(self._guarded(fleet, past, reading) for fleet, past in some))
        return list(fleets)

    async def _guarded(self, fleet: Fleet, past: Past, reading: Reading) -> None:
        """One fleet's error is told, and stays its own."""
        now = self._clock()
        try:
            await self._one_fleet.tick(fleet, past, reading, now)
        except Exception as exc:
            self._report.failed(fleet.watched.key, now, exc)

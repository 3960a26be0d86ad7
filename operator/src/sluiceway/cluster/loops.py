"""One loop of ticks for each broker in use, made with its first fleet and ended with its last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from sluiceway.act.leases import BrokerLeases
from sluiceway.act.recoveries import Recoveries, Told, charge_of
from sluiceway.act.unpark import unpark
from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.connection import Brokers
from sluiceway.cluster.fleet import DeploymentFleet
from sluiceway.observe import BrokerReader, Watched
from sluiceway.observe.waking import Places, Waking
from sluiceway.reconcile import BrokerLoop, Pace, Reporter
from sluiceway.report.health import Heartbeats

TICK_LIMIT_S = 90.0
"""Ticks come every ten seconds at least, and a broker or an API server that does not
answer holds one up for less than half a minute."""

Address = BrokerAddress | None
"""None for fleets whose broker is not known: they are ticked, too, and told so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks workers to drain."""

    name: str
    """For whoever looks at the leases."""
    epoch: int
    """Of its leadership; an older one is refused."""


@dataclass(kw_only=True, slots=True)
class _Running:
    name: str
    loop: BrokerLoop
    waking: Waking
    task: asyncio.Task[None]
    fleets: set[str] = field(default_factory=set)


class Reports(Reporter, Told, Protocol):
    """Told of every tick, and of what came back from the dead."""


class BrokerLoops:
    """All of them, for one term."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        *,
        asker: Asker,
        pace: Pace,
        waking_connections: int,
        report: Reports,
        beats: Heartbeats,
        ticked: Callable[[float], None],
        may_act: Callable[[], bool],
    ) -> None:
        """None yet.

        Args:
            tasks: where they run; a loop that fails ends the group.
            waking_connections: brokers that may say when a queue changes, each on a
                connection of its own; the others are asked every second.
            may_act: asked before anything is written into a broker.
            beats: where each loop shows that it goes on.
            ticked: told after every tick how long it took, seconds.
        """
        self._tasks = tasks
        self._asker = asker
        self._pace = pace
        self._waking_places = Places(waking_connections)
        self._report = report
        self._beats = beats
        self._ticked = ticked
        self._brokers = Brokers()
        self._may_act = may_act
        self._running: dict[Address, _Running] = {}
        self._recoveries = Recoveries(report, may_act=may_act)
        tasks.create_task(self._recoveries.run())

    def put(self, fleet: DeploymentFleet) -> None:
        """Tick this fleet from now on, as it is now; at once for the first time."""
        watched = fleet.watched
        if watched.address is not None:
            broker = self._brokers.get(watched.address)
            self._recoveries.put(charge_of(watched.taskqueue, broker, fleet.ends))
        else:
            self._recoveries.drop(watched.key)
        running = self._running.get(watched.address) or self._start(watched.address)
        running.fleets.add(watched.key)
        running.loop.put(fleet)

    def touch(self, key: str, address: Address) -> None:
        """Something about this fleet changed: tick it at once."""
        self._recoveries.touch(key)
        if (running := self._running.get(address)) is not None:
            running.loop.touch(key)

    async def drop(self, key: str, address: Address, *, gone: Watched | None = None) -> None:
        """Tick this fleet on this broker no more.

        Args:
            gone: the fleet, where nobody will start it in time any more: what it parked
                goes back to its queues.
        """
        if address is not None:
            self._recoveries.drop(key, self._brokers.get(address))
        running = self._running.get(address)
        if running is None:
            return
        running.loop.drop(key)
        running.fleets.discard(key)
        if gone is not None and address is not None and self._may_act():
            await unpark(
                self._brokers.get(address),
                fleet=key,
                prefix=gone.prefix,
                queues=gone.broker_queues,
            )
        # Meanwhile the last two of a broker may both have come here, or a new one have come.
        if not running.fleets and self._running.get(address) is running:
            del self._running[address]
            running.task.cancel()
            await self._end(running)
            await self._brokers.keep({one for one in self._running if one is not None})

    def warnings(self, address: Address) -> tuple[str, ...]:
        """What the platform team should mend at this broker, as sentences."""
        facts = self._brokers.get(address).facts if address in self._running and address else None
        return facts.warnings if facts is not None else ()

    async def close(self) -> None:
        """Hang up on all brokers; the loops have ended with their group."""
        for running in self._running.values():
            await self._end(running)
        await self._brokers.close()

    def _start(self, address: Address) -> _Running:
        waking = Waking(places=self._waking_places)
        name = f"the ticks of broker {address}" if address else "the ticks without a broker"
        beat = self._beats.expect(name, TICK_LIMIT_S)

        def ticked(duration_s: float) -> None:
            beat()
            self._ticked(duration_s)

        loop = BrokerLoop(
            reader=BrokerReader(self._brokers),
            leases=self._leases,
            wakes=waking,
            report=self._report,
            clock=time.time,
            pace=self._pace,
            ticked=ticked,
        )
        running = _Running(
            name=name, loop=loop, waking=waking, task=self._tasks.create_task(loop.run())
        )
        self._running[address] = running
        return running

    async def _end(self, running: _Running) -> None:
        self._beats.forget(running.name)
        await running.waking.close()

    def _leases(self, watched: Watched) -> BrokerLeases | NoLeases:
        if watched.address is None or not self._may_act():
            return NoLeases()
        return BrokerLeases(
            broker=self._brokers.get(watched.address),
            prefix=watched.prefix,
            asker=self._asker.name,
            epoch=self._asker.epoch,
        )


class NoLeases:
    """Of a fleet whose broker is not known, or by who only watches: nobody is told."""

    async def set(self, *, hold: Collection[str], recall: Collection[str]) -> None:
        """Nobody can be asked; leases that were set before lapse by themselves."""

    async def forget(self, incarnations: Collection[str]) -> None:
        """Nothing is known to be forgotten."""

    async def stand_by(self, fleets: Collection[str]) -> None:
        """Nothing is parked where nobody can say so."""

    async def release(self, lists: Collection[str], until: float) -> None:
        """Nothing is known to be parked."""

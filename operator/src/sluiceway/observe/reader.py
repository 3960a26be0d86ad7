"""Looks at all brokers at once: the only I/O of observing, beside being woken.

Fleets are grouped by the broker that their URL resolves to; each broker is asked
once per tick, in one round trip, whatever the number of fleets on it. A broker in
trouble holds up and spoils nobody else's reading.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.connection import Brokers
from sluiceway.broker.gauge import REMEMBERED_S, Gauge, Request
from sluiceway.broker.reading import BrokerReading, Heard
from sluiceway.observe.watched import Watched


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What all brokers showed in one tick."""

    brokers: Mapping[BrokerAddress, BrokerReading] = field(default_factory=dict)

    def of(self, watched: Watched) -> BrokerReading:
        """The fleet's broker; one that was not read says so."""
        if watched.address is None:
            return BrokerReading(problem=watched.problem or "the TaskQueue names no broker")
        found = self.brokers.get(watched.address)
        return found or BrokerReading(problem=f"broker {watched.address}: not read yet")

    def gone(self, watched: Watched) -> tuple[str, ...]:
        """Incarnations on the fleet's list of workers whose heartbeat has ended."""
        facts = self.of(watched).workers.get(watched.prefix)
        return () if facts is None else facts.dead

    def heard(self, watched: Watched) -> tuple[Heard, ...]:
        """All heartbeats under the fleet's key prefix, whosever they are."""
        facts = self.of(watched).workers.get(watched.prefix)
        return () if facts is None else facts.heard

    def due(self, watched: Watched, now: float) -> tuple[str, ...]:
        """The lists under the fleet's key prefix with parked messages whose ETA has passed.

        Args:
            now: our own clock, for a server that does not tell its time.
        """
        facts = self.of(watched).parked.get(watched.prefix)
        return () if facts is None else facts.due(self.at(watched, now))

    def at(self, watched: Watched, now: float) -> float:
        """When the fleet's broker was read, Unix seconds by its own clock where it is told."""
        told = self.of(watched).server_time
        return now if told is None else told


class BrokerReader:
    """Reads what fleets need from their brokers, tick by tick."""

    def __init__(self, brokers: Brokers) -> None:
        """Read over the connections of ``brokers``, which the caller keeps and closes."""
        self._brokers = brokers
        self._gauges: dict[BrokerAddress, Gauge] = {}

    async def read(self, fleets: Iterable[Watched]) -> Reading:
        """Look once at every broker of these fleets, all at the same time.

        Trouble with a broker is never raised: its reading says what it is. It takes
        as long as the slowest broker, at most twice the timeout of ``Brokers``.
        """
        requests = requests_of(fleets)
        self._keep_gauges(requests)
        readings = await asyncio.gather(
            *(self._gauges[address].read(request) for address, request in requests.items())
        )
        return Reading(brokers=dict(zip(requests, readings, strict=True)))

    def _keep_gauges(self, addresses: Iterable[BrokerAddress]) -> None:
        long_ago = time.monotonic() - REMEMBERED_S
        self._gauges = {a: g for a, g in self._gauges.items() if g.read_at > long_ago}
        for address in addresses:
            broker = self._brokers.get(address)
            gauge = self._gauges.get(address)
            if gauge is None or gauge.broker is not broker:
                self._gauges[address] = Gauge(broker)


def requests_of(fleets: Iterable[Watched]) -> dict[BrokerAddress, Request]:
    """What to ask each broker, for all the fleets on it together."""
    together: defaultdict[BrokerAddress, list[Watched]] = defaultdict(list)
    for watched in fleets:
        if watched.address is not None:
            together[watched.address].append(watched)
    return {
        address: Request(
            queues=frozenset(queue for watched in group for queue in watched.broker_queues),
            prefixes=frozenset(watched.prefix for watched in group),
            held_by_queue=frozenset(w.prefix for w in group if not w.reports),
        )
        for address, group in together.items()
    }

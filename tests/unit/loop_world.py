"""Everything at the edges of a reconcile loop, and the loop: for tests that drive it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from contextlib import suppress
from typing import Any

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.reading import (
    BrokerReading,
    Heard,
    Parked,
    ParkedFacts,
    QueueFacts,
    WorkerFacts,
)
from sluiceway.observe import Reading, RunningWorker, Watched
from sluiceway.reconcile import BrokerLoop, Pace
from sluiceway.report.status import FleetStatus
from sluiceway_worker.heartbeat import Heartbeat
from sluiceway_worker.wire import CONSUMING

URL = "redis://127.0.0.1:6379/0"


NEVER = Pace(busy_s=3600, idle_s=3600, together_s=0)


class Fleet:
    """A fleet that does what it is told, and notes it."""

    def __init__(self, name: str, *, replicas: int = 0, **scaling: Any) -> None:
        spec = {"worker": {"app": "tasks"}, "scaling": scaling}
        self.watched = Watched.of(
            TaskQueue.from_outside({"metadata": {"name": name}, "spec": spec}), URL
        )
        self.replicas = replicas
        self.rolling_out = False
        self.stuck: str | None = None
        self.marked: frozenset[str] = frozenset()
        self.leaving: frozenset[str] = frozenset()
        self.trouble: str | None = None
        self.exist: list[RunningWorker] = []
        self.broken: Exception | None = None
        self.scaled: list[int] = []
        self.was_scaled = asyncio.Event()

    def workers(self) -> Sequence[RunningWorker]:
        return self.exist

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        if self.broken:
            raise self.broken
        self.replicas = replicas
        self.scaled.append(replicas)
        self.was_scaled.set()


class World:
    """Everything at the loop's edges, and the loop."""

    def __init__(self, *, pace: Pace = NEVER) -> None:
        self.now = 1_000.0
        self.lengths: dict[str, int] = {}
        self.heartbeats: list[Heartbeat] = []
        self.dead: tuple[str, ...] = ()
        self.broker_problem: str | None = None
        self.during_read: Callable[[], None] = lambda: None
        self.looks: asyncio.Queue[list[str]] = asyncio.Queue()
        self.acting: set[str] = set()
        self.woken: asyncio.Queue[frozenset[str]] = asyncio.Queue()
        self.statuses: dict[str, FleetStatus] = {}
        self.still_at: dict[str, float] = {}
        self.failures: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.parked: dict[str, Parked] = {}
        self.parked_problem: str | None = None
        self.stood_by: list[str] = []
        self.released: list[str] = []
        self.loop = BrokerLoop(
            reader=self,
            leases=lambda watched: self,
            wakes=self,
            report=self,
            clock=lambda: self.now,
            pace=pace,
        )

    # The reader.
    async def read(self, fleets: Iterable[Watched]) -> Reading:
        fleets = list(fleets)
        self.looks.put_nowait(sorted(watched.key for watched in fleets))
        self.during_read()
        if self.broker_problem is not None:
            reading = BrokerReading(problem=self.broker_problem)
        else:
            reading = BrokerReading(
                server_time=self.now,
                parked={"": ParkedFacts(lists=self.parked, problem=self.parked_problem)},
                queues={
                    queue: QueueFacts(length=self.lengths.get(queue.name, 0))
                    for watched in fleets
                    for queue in watched.broker_queues
                },
                workers={
                    "": WorkerFacts(
                        heard=tuple(Heard(heartbeat=h, age_s=0.1) for h in self.heartbeats),
                        dead=self.dead,
                    )
                },
            )
        return Reading(brokers={w.address: reading for w in fleets if w.address is not None})

    # The wakes.
    async def arm(self, fleets: Iterable[Watched], *, acting: Container[str]) -> None:
        for key in (watched.key for watched in fleets):
            self.acting.discard(key)
            if key in acting:
                self.acting.add(key)

    def drop(self, key: str) -> None:
        self.acting.discard(key)

    def problem(self, watched: Watched) -> str | None:
        return None

    async def wait(self, timeout_s: float) -> frozenset[str]:
        return await self.woken.get()

    # The leases.
    async def set(self, *, hold: Collection[str], recall: Collection[str]) -> None:
        pass

    async def forget(self, incarnations: Collection[str]) -> None:
        self.forgotten += incarnations

    async def stand_by(self, fleets: Collection[str]) -> None:
        self.stood_by += fleets

    async def release(self, lists: Collection[str], until: float) -> None:
        self.released += lists

    # The reporter.
    def add(self, status: FleetStatus) -> None:
        self.statuses[status.fleet] = status

    def still(self, fleet: str, at: float) -> None:
        self.still_at[fleet] = at

    def failed(self, fleet: str, at: float, exc: Exception) -> None:
        self.failures.append((fleet, str(exc)))


def heartbeat(fleet: str, name: str) -> Heartbeat:
    return Heartbeat(
        incarnation=f"{name}:1", name=name, fleet=fleet, queues=[], state=CONSUMING, slots=1
    )


async def running(world: World) -> asyncio.Task[None]:
    """Start the loop, and let it have looked at all fleets once."""
    task = asyncio.create_task(world.loop.run())
    await world.looks.get()
    return task


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

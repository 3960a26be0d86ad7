"""One loop for each broker in use: made with its first fleet, ended with its last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import Brokers
from sluiceway.cluster import loops as under_test
from sluiceway.cluster.loops import Asker, BrokerLoops
from sluiceway.observe import RunningWorker, Watched
from sluiceway.reconcile import Pace
from sluiceway.report.health import Heartbeats

URL = "redis://127.0.0.1:1/0"  # nobody listens there
ADDRESS = parse_address(URL)


class Fleet:
    """One that has no workers and wants none."""

    def __init__(self, name: str) -> None:
        spec = {"worker": {"app": "tasks"}}
        body = {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}
        self.watched = Watched.of(TaskQueue.from_outside(body), URL)
        self.replicas = 0
        self.rolling_out = False
        self.trouble = self.stuck = None
        self.marked = self.leaving = frozenset[str]()

    def workers(self) -> Sequence[RunningWorker]:
        return ()

    def ends(self) -> tuple[()]:
        return ()

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None: ...


class Reports:
    """Is told, and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class World:
    """The loops, and a gate before what is parked comes back."""

    def __init__(self, loops: BrokerLoops, beats: Heartbeats) -> None:
        self.loops = loops
        self.beats = beats
        self.gate = asyncio.Event()
        self.waiting = 0

    def put(self, name: str) -> Watched:
        fleet: Any = Fleet(name)
        self.loops.put(fleet)
        return fleet.watched

    def drop(self, gone: Watched) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.loops.drop(gone.key, ADDRESS, gone=gone))

    def running(self) -> list[str]:
        return list(self.beats.health().beats)

    async def unpark(self, broker: object, **_: object) -> int:
        self.waiting += 1
        await self.gate.wait()
        return 0


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    beats = Heartbeats(time.monotonic)
    reports: Any = Reports()
    tasks = asyncio.TaskGroup()
    async with tasks:
        loops = BrokerLoops(
            tasks,
            asker=Asker(name="test", epoch=1),
            pace=Pace(busy_s=3600, idle_s=3600),
            waking_connections=0,
            report=reports,
            beats=beats,
            ticked=lambda _: None,
            may_act=lambda: True,
        )
        world = World(loops, beats)
        monkeypatch.setattr(under_test, "unpark", world.unpark)
        try:
            yield world
        finally:
            for task in tasks._tasks:
                task.cancel()
    await loops.close()


async def until_waiting(world: World, number: int) -> None:
    while world.waiting < number:  # noqa: ASYNC110 what is called in between is not ours
        await asyncio.sleep(0)


async def test_the_last_two_fleets_of_a_broker_may_go_at_the_same_moment(world: World) -> None:
    dropping = [world.drop(world.put(name)) for name in ("exports", "emails")]
    await until_waiting(world, 2)
    world.gate.set()
    await asyncio.gather(*dropping)
    assert world.running() == []


async def test_a_fleet_that_comes_while_the_last_one_goes_is_ticked_on(world: World) -> None:
    dropping = [world.drop(world.put(name)) for name in ("exports", "emails")]
    await until_waiting(world, 2)
    world.gate.set()
    await dropping[0]
    world.put("videos")
    await dropping[1]
    assert world.running() == [f"the ticks of broker {ADDRESS}"]


async def test_two_who_hang_up_on_unused_brokers_do_not_trip_over_each_other() -> None:
    brokers = Brokers()
    unused = [brokers.get(parse_address(f"redis://127.0.0.1:{port}/0")) for port in (1, 2)]
    for broker in unused:
        await broker._turn.acquire()  # a batch is under way
    first, second = (asyncio.ensure_future(brokers.keep(set())) for _ in range(2))
    await asyncio.sleep(0)
    for broker in unused:
        broker._turn.release()
    await asyncio.gather(first, second)

"""When the loop looks at a fleet: at once where something changed, else at its pace."""

from __future__ import annotations

import asyncio

import pytest

from sluiceway.reconcile import Pace
from tests.unit.loop_world import Fleet, World, end, running


@pytest.fixture
def world() -> World:
    return World()


async def test_a_fleet_is_looked_at_when_its_broker_wakes_and_no_other_with_it(
    world: World,
) -> None:
    video, mail = Fleet("video"), Fleet("mail")
    world.loop.put(video)
    world.loop.put(mail)
    task = await running(world)
    world.lengths["video"] = 1

    world.woken.put_nowait(frozenset({"default/video"}))

    assert await world.looks.get() == ["default/video"]
    await video.was_scaled.wait()
    await end(task)
    assert video.scaled == [1]


async def test_a_fleet_is_looked_at_when_its_workers_changed(world: World) -> None:
    world.loop.put(Fleet("video"))
    world.loop.put(Fleet("mail"))
    task = await running(world)

    world.loop.touch("default/mail")

    assert await world.looks.get() == ["default/mail"]
    await end(task)


async def test_a_fleet_that_is_gone_is_not_looked_at_when_a_worker_of_it_ends(
    world: World,
) -> None:
    world.loop.put(Fleet("video"))
    world.loop.put(Fleet("mail"))
    task = await running(world)
    world.loop.drop("default/video")

    world.loop.touch("default/video")
    world.loop.touch("default/mail")

    assert await world.looks.get() == ["default/mail"]
    for _ in range(20):
        await asyncio.sleep(0)  # nor is it again and again
    assert world.looks.empty()
    await end(task)


async def test_changes_that_follow_one_another_closely_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = 0.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    monkeypatch.setattr(loop, "time", lambda: began + passed)
    world = World(pace=Pace(busy_s=1e6, idle_s=1e6, together_s=60))
    world.loop.put(Fleet("video"))
    world.loop.put(Fleet("mail"))
    task = await running(world)

    world.loop.touch("default/video")
    for _ in range(20):
        await asyncio.sleep(0)
    world.loop.touch("default/mail")
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.looks.empty()
    passed += 60
    assert await world.looks.get() == ["default/mail", "default/video"]

    passed += 60  # nothing happens for a while: the next is looked at when it comes
    for _ in range(20):
        await asyncio.sleep(0)
    world.loop.touch("default/mail")
    assert await world.looks.get() == ["default/mail"]
    await end(task)


async def test_a_fleet_is_looked_at_when_its_decision_named_the_moment() -> None:
    """The cooldown ends long before the next regular look."""
    world = World()
    loop = asyncio.get_running_loop()
    world.loop._clock = loop.time
    fleet = Fleet("video", replicas=1, cooldownPeriod="200ms")
    world.loop.put(fleet)
    task = await running(world)

    assert await world.looks.get() == ["default/video"]
    await fleet.was_scaled.wait()
    await end(task)
    assert fleet.scaled == [0]


async def test_while_something_works_the_broker_is_looked_at_at_the_busy_pace() -> None:
    world = World(pace=Pace(busy_s=0.05, idle_s=3600))
    world.loop.put(Fleet("video", replicas=1, minReplicas=1))
    task = await running(world)

    assert [await world.looks.get() for _ in range(3)] == [["default/video"]] * 3

    await end(task)

"""What the loop learns of a fleet at rest, and of time that passes or goes back."""

from __future__ import annotations

import pytest

from sluiceway.broker.reading import (
    Parked,
)
from sluiceway.observe import RunningWorker
from tests.unit.loop_world import Fleet, World, heartbeat


@pytest.fixture
def world() -> World:
    return World()


STILL = {"routine": {"default/video"}}


async def rested(world: World, fleet: Fleet) -> None:
    """It was looked at until nothing but the time moves."""
    world.loop.put(fleet)
    for _ in range(5):
        world.now += 10
        await world.loop.tick(["default/video"], **STILL)


async def test_a_fleet_at_rest_is_told_to_be_as_it_was_and_not_decided_on_again(
    world: World,
) -> None:
    await rested(world, Fleet("video"))
    before = world.statuses["default/video"]
    world.now += 10

    await world.loop.tick(["default/video"], **STILL)

    assert world.statuses["default/video"] is before
    assert world.still_at == {"default/video": world.now}


@pytest.mark.parametrize("what", ["touched", "message", "heartbeat", "parked", "trouble", "broker"])
async def test_a_fleet_at_rest_is_decided_on_again_when_anything_about_it_is_new(
    world: World, what: str
) -> None:
    fleet = Fleet("video")
    await rested(world, fleet)
    world.now += 10
    match what:
        case "message":
            world.lengths["video"] = 1
        case "heartbeat":
            world.heartbeats = [heartbeat("default/video", "video-1")]
        case "parked":
            world.parked = {"video": Parked(count=1, etas=(world.now + 60,))}
        case "trouble":
            fleet.trouble = "the view of pods is stale"
        case "broker":
            world.broker_problem = "nothing listens there"

    await world.loop.tick(["default/video"], **({} if what == "touched" else STILL))

    assert world.statuses["default/video"].at == world.now
    assert fleet.scaled == ([1] if what == "message" else [])


async def test_a_fleet_at_rest_is_decided_on_again_after_some_minutes_whatever_happens(
    world: World,
) -> None:
    await rested(world, Fleet("video"))
    world.now += 600

    await world.loop.tick(["default/video"], **STILL)

    assert world.statuses["default/video"].at == world.now


async def test_a_clock_that_is_set_back_does_not_hold_a_fleet_until_it_has_caught_up(
    world: World,
) -> None:
    world.now = 10_000.0
    fleet = Fleet("video", target={"backlogPerReplica": 10})
    world.loop.put(fleet)
    world.lengths["video"] = 50
    await world.loop.tick(["default/video"])
    assert fleet.scaled == [5]
    names = [f"w{number}" for number in range(5)]
    fleet.exist = [RunningWorker(name=name, created_at=9_999.0, ready=True) for name in names]
    world.heartbeats = [heartbeat("default/video", name) for name in names]
    world.lengths["video"] = 10

    world.now -= 3600
    for _ in range(100):
        world.now += 2
        await world.loop.tick(["default/video"])

    assert world.statuses["default/video"].workers.desired == 1


async def test_what_came_after_a_long_rest_is_taken_for_news_of_the_last_moment() -> None:
    """Twenty messages within a second are not twenty in the minutes since the last decision."""
    rates = []
    for looks in (STILL, {}):
        world = World()
        await rested(world, Fleet("video"))
        for _ in range(12):
            world.now += 10
            await world.loop.tick(["default/video"], **looks)
        world.now += 1
        world.lengths["video"] = 20
        await world.loop.tick(["default/video"])
        rates.append(world.statuses["default/video"].arrival_rate_per_s)
    assert rates[0] == rates[1]

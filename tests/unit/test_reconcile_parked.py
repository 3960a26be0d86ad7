"""What the loop does for messages that are parked: it vouches for fleets, and brings back."""

from __future__ import annotations

import pytest

from sluiceway.broker.reading import (
    Parked,
)
from sluiceway.report.status import DEMAND_KNOWN
from tests.unit.loop_world import Fleet, World


@pytest.fixture
def world() -> World:
    return World()


async def test_parked_messages_are_brought_back_once_they_are_due_and_not_before(
    world: World,
) -> None:
    world.loop.put(Fleet("video"))
    world.parked = {
        "video": Parked(count=2, etas=(world.now + 5, world.now + 9_000)),
        "mail": Parked(count=1, etas=(world.now + 60,)),
    }
    await world.loop.tick(["default/video"])
    assert world.released == []

    world.now += 6
    await world.loop.tick(["default/video"])

    assert world.released == ["video"]


async def test_it_is_said_again_and_again_that_a_fleet_with_workers_will_be_started_in_time(
    world: World,
) -> None:
    resting, working = Fleet("video"), Fleet("mail", minReplicas=1)
    working.replicas = 1
    for fleet in (resting, working):
        world.loop.put(fleet)

    for _ in range(31):
        await world.loop.tick(["default/video", "default/mail"])
        world.now += 2

    assert world.stood_by == ["default/mail"] * 4


async def test_a_paused_fleet_is_not_vouched_for(world: World) -> None:
    fleet = Fleet("video", paused=True)
    fleet.replicas = 1
    world.loop.put(fleet)

    await world.loop.tick(["default/video"])

    assert world.stood_by == []


async def test_while_its_parked_messages_cannot_be_read_a_fleet_is_not_lowered(
    world: World,
) -> None:
    fleet = Fleet("video")
    fleet.replicas = 1
    world.loop.put(fleet)
    world.parked_problem = "parked messages: no permission"

    await world.loop.tick(["default/video"])

    assert fleet.scaled == []
    assert "no permission" in world.statuses["default/video"].condition(DEMAND_KNOWN).message

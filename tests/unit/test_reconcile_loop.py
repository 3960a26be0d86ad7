"""The loop around gathering, deciding, acting, telling: what it looks at, whose error is whose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluiceway.observe import RunningWorker
from sluiceway_worker.heartbeat import Heartbeat
from sluiceway_worker.wire import CONSUMING
from tests.unit.loop_world import Fleet, World, end, heartbeat, running


@pytest.fixture
def world() -> World:
    return World()


async def test_a_waiting_message_makes_its_fleet_and_no_other_ask_for_a_worker(
    world: World,
) -> None:
    video, mail = Fleet("video"), Fleet("mail")
    world.loop.put(video)
    world.loop.put(mail)
    world.lengths["video"] = 1

    await world.loop.tick(["default/video", "default/mail"])

    assert (video.scaled, mail.scaled) == ([1], [])
    assert world.statuses["default/video"].waiting == 1


async def test_all_fleets_of_a_broker_are_read_in_one_look(world: World) -> None:
    world.loop.put(Fleet("video"))
    world.loop.put(Fleet("mail"))

    await world.loop.tick(["default/video", "default/mail"])

    assert world.looks.get_nowait() == ["default/mail", "default/video"]
    assert world.looks.empty()


@pytest.mark.parametrize("what", ["its workers cannot be listed", "it cannot be scaled"])
async def test_one_fleet_s_error_is_told_and_the_others_go_on(world: World, what: str) -> None:
    broken, mail = Fleet("broken"), Fleet("mail")
    if "listed" in what:
        broken.exist = None  # type: ignore[assignment]
    else:
        broken.broken = RuntimeError("no more processes")
    world.loop.put(broken)
    world.loop.put(mail)
    world.lengths = {"broken": 1, "mail": 1}

    await world.loop.tick(["default/broken", "default/mail"])

    assert [fleet for fleet, _ in world.failures] == ["default/broken"]
    assert mail.scaled == [1]


async def test_a_neighbour_s_short_visibility_timeout_is_told_of_each_fleet_that_it_concerns(
    world: World,
) -> None:
    for name in ("video", "mail"):
        world.loop.put(Fleet(name, replicas=1))
    world.heartbeats = [
        Heartbeat(
            incarnation=f"{name}:1",
            name=name,
            fleet=f"default/{name}",
            queues=[name],
            state=CONSUMING,
            slots=1,
            visibility_timeout_s=timeout_s,
        )
        for name, timeout_s in (("video", 36_000.0), ("mail", 18_000.0))
    ]

    await world.loop.tick(["default/video", "default/mail"])

    (warning,) = world.statuses["default/video"].timeout_warnings
    assert "default/mail" in warning
    assert world.statuses["default/mail"].timeout_warnings == ()


async def test_what_was_seen_and_decided_is_told_also_where_it_could_not_be_carried_out(
    world: World,
) -> None:
    broken = Fleet("broken")
    broken.broken = RuntimeError("no more processes")
    world.loop.put(broken)
    world.lengths["broken"] = 1

    await world.loop.tick(["default/broken"])

    assert world.failures == [("default/broken", "no more processes")]
    assert world.statuses["default/broken"].workers.desired == 1


async def test_a_broker_that_cannot_be_read_changes_no_fleet(world: World) -> None:
    fleet = Fleet("video", replicas=3)
    world.loop.put(fleet)
    world.broker_problem = "nothing listens there"

    for _ in range(5):
        world.now += 60
        await world.loop.tick(["default/video"])

    assert fleet.scaled == []
    status = world.statuses["default/video"]
    assert (status.waiting, status.in_flight) == (None, None)
    assert "nothing listens there" in status.condition("DemandKnown").message


async def test_a_look_that_fails_by_a_defect_is_told_and_the_next_one_is_made(
    world: World,
) -> None:
    world.loop.put(Fleet("video"))
    world.during_read = lambda: [][0]
    task = await running(world)

    world.during_read = lambda: None
    world.loop.touch("default/video")

    assert await world.looks.get() == ["default/video"]
    await end(task)
    assert world.failures == [("default/video", "list index out of range")]


async def test_a_look_that_fails_after_it_was_read_is_told_and_ends_nothing(world: World) -> None:
    world.loop.put(Fleet("video"))
    defect: Any = "soon"
    world.heartbeats = [
        replace(heartbeat("default/video", "w"), visibility_timeout_s=one) for one in (1.0, defect)
    ]

    await world.loop.tick(["default/video"])

    assert [fleet for fleet, _ in world.failures] == ["default/video"]


async def test_a_fleet_that_is_dropped_while_it_is_read_is_no_error(world: World) -> None:
    world.loop.put(Fleet("video"))
    world.during_read = lambda: world.loop.drop("default/video")

    await world.loop.tick(["default/video"])

    assert world.failures == []


async def test_incarnations_that_are_gone_are_taken_off_the_list(world: World) -> None:
    world.loop.put(Fleet("video"))
    world.dead = ("video-1:abc",)

    await world.loop.tick(["default/video"])

    assert world.forgotten == ["video-1:abc"]


async def test_fleets_that_share_a_list_of_workers_have_it_tidied_once(world: World) -> None:
    world.loop.put(Fleet("video"))
    world.loop.put(Fleet("mail"))
    world.dead = ("video-1:abc",)

    await world.loop.tick(["default/video", "default/mail"])

    assert world.forgotten == ["video-1:abc"]


async def test_only_fleets_that_could_act_on_a_message_are_armed(world: World) -> None:
    working = Fleet("working", replicas=1)
    working.exist = [RunningWorker(name="working-1", created_at=0.0)]
    world.heartbeats = [heartbeat("default/working", "working-1")]
    fleets = [Fleet("idle"), Fleet("paused", paused=True), Fleet("never", maxReplicas=0), working]
    filled = Fleet("filled")
    world.lengths["filled"] = 5
    for fleet in (*fleets, filled):
        world.loop.put(fleet)

    await world.loop.tick(
        [f"default/{n}" for n in ("idle", "paused", "never", "working", "filled")]
    )

    armed = {fleet.watched.key for fleet in (*fleets, filled) if fleet.watched.key in world.acting}
    assert armed == {"default/idle"}

"""A fleet of processes does what it is told, and keeps what it was asked for.

The workers are small real processes; what they would do with tasks is tried in
tests/integration/local.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.fleet import Exit, ProcessFleet
from sluiceway.local.launch import Launch
from sluiceway.local.processes import Guard
from sluiceway.local.said import last_lines
from sluiceway.observe import Watched

WORKS = """import signal, sys, time
signal.signal(15, lambda *_: sys.exit(0)); print('up'); time.sleep(60)"""
STAYS = """import signal, time
signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"""
FAILS = "print('first'); raise SystemExit('no module named tasks')"

TASKQUEUE = TaskQueue.from_outside(
    {"metadata": {"name": "video", "namespace": "shop"}, "spec": {"worker": {"app": "tasks"}}}
)


class World:
    """A fleet under test and what it told."""

    def __init__(self, guard: Guard, folder: Path) -> None:
        self.guard = guard
        self.folder = folder
        self.exits: list[Exit] = []
        self.fleets: list[ProcessFleet] = []

    def fleet(self, code: str, *, grace_s: float = 30.0, **launch: Any) -> ProcessFleet:
        fleet = ProcessFleet(
            Watched.of(TASKQUEUE, "redis://127.0.0.1:1/0"),
            Launch(
                fleet="shop/video",
                argv=launch.get("argv", (sys.executable, "-u", "-c", code)),
                env={},
                cwd=None,
                grace_s=grace_s,
            ),
            guard=self.guard,
            logs=self.folder,
            clock=launch.get("clock", time.time),
            monotonic=launch.get("monotonic", time.monotonic),
            changed=lambda: None,
            on_exit=self.exits.append,
            keep_logs=launch.get("keep_logs", True),
        )
        self.fleets.append(fleet)
        return fleet

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 another process cannot set an event of ours
                await asyncio.sleep(0.02)

    async def up(self, fleet: ProcessFleet, count: int) -> None:
        """Until so many workers have said that they are up."""
        await self.until(lambda: sum(last_lines(w.log) == ("up",) for w in fleet.running) == count)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    guard = Guard()
    world = World(guard, tmp_path)
    yield world
    for fleet in world.fleets:
        await fleet.stop_cold()
    await asyncio.to_thread(guard.close)


async def test_a_fleet_has_as_many_workers_as_were_asked_for(world: World) -> None:
    fleet = world.fleet(WORKS)

    await fleet.scale(3)

    assert len(fleet.running) == fleet.replicas == 3
    assert len({worker.name for worker in fleet.running}) == 3


async def test_exactly_the_named_worker_is_told_to_go(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(3)
    await world.up(fleet, 3)
    first, second, third = (worker.name for worker in fleet.running)

    await fleet.scale(2, (second,))

    assert [w.name for w in fleet.workers() if w.stopping] == [second]
    await world.until(lambda: len(fleet.running) == 2)
    assert [worker.name for worker in fleet.running] == [first, third]
    assert world.exits == []


async def test_a_name_that_is_gone_already_counts_as_gone(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(1)

    await fleet.scale(1, ("video-gone",))

    assert [w.stopping for w in fleet.workers()] == [False]


async def test_where_nobody_is_named_the_newest_go(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(3)
    oldest = fleet.running[0].name

    await fleet.scale(1)

    assert [w.name for w in fleet.workers() if not w.stopping] == [oldest]


async def test_a_worker_that_does_not_go_is_ended_when_its_grace_period_is_over(
    world: World,
) -> None:
    fleet = world.fleet(STAYS, grace_s=0.2)
    await fleet.scale(1)
    await world.up(fleet, 1)

    await fleet.scale(0, (fleet.running[0].name,))

    await world.until(lambda: not fleet.running)
    assert world.exits == []


async def test_a_worker_that_is_asked_for_while_another_one_leaves_is_started_at_once(
    world: World,
) -> None:
    fleet = world.fleet(STAYS)
    await fleet.scale(1)
    await world.up(fleet, 1)
    await fleet.scale(0, (fleet.running[0].name,))

    await fleet.scale(1)

    assert [w.stopping for w in fleet.workers()] == [True, False]


async def test_a_worker_that_dies_is_replaced_and_its_death_is_told(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(1)
    await world.up(fleet, 1)
    dead = fleet.running[0]

    dead.child.send_group(signal.SIGKILL)

    await world.until(lambda: bool(world.exits))
    assert "SIGKILL" in world.exits[0].sentence
    await world.until(lambda: len(fleet.running) == 1)
    assert fleet.running[0].name != dead.name


def test_celerys_banner_and_what_stood_before_it_are_no_reason_for_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    banner = """SecurityWarning: you are root
 -------------- video-1@host v5.7.0
- ** ---------- [config]
- *** --- * --- .> concurrency: 2 (prefork)
 -------------- [queues]
                .> video            exchange=video(direct) key=video

"""
    log.write_text(banner)
    assert last_lines(log) == ()
    log.write_text(banner + "[tasks]\nMemoryError: Process got:\n")
    assert last_lines(log, 1) == ("MemoryError: Process got:",)


async def test_a_death_by_a_signal_without_a_name_is_told_and_made_good(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(1)
    await world.up(fleet, 1)

    os.killpg(fleet.running[0].child.pid, signal.SIGRTMIN + 1)

    await world.until(lambda: bool(world.exits))
    assert f"signal {signal.SIGRTMIN + 1}" in world.exits[0].sentence
    await world.until(lambda: len(fleet.running) == 1)


async def test_a_fleet_that_cannot_start_says_why_and_waits_longer_each_time(
    world: World,
) -> None:
    fleet = world.fleet(FAILS)

    await fleet.scale(2)

    await world.until(lambda: len(world.exits) == 4)
    assert world.exits[0].last_lines == ("first", "no module named tasks")
    assert "code 1: no module named tasks" in (fleet.trouble or "")
    assert world.exits[0].next_start_in_s < world.exits[3].next_start_in_s


async def test_a_clock_that_is_set_back_does_not_keep_a_worker_from_being_replaced(
    world: World,
) -> None:
    now = SimpleNamespace(time=10_000.0)
    fleet = world.fleet(WORKS, clock=lambda: now.time)
    await fleet.scale(1)
    await world.up(fleet, 1)
    fleet.running[0].child.send_group(signal.SIGKILL)
    await world.until(lambda: bool(world.exits))

    now.time -= 3600

    await world.until(lambda: len(fleet.running) == 1)


async def test_a_timer_that_comes_too_early_is_set_again(world: World) -> None:
    now = SimpleNamespace(time=100.0)
    fleet = world.fleet(WORKS, monotonic=lambda: now.time)
    await fleet.scale(1)
    await world.up(fleet, 1)
    fleet.running[0].child.send_group(signal.SIGKILL)
    await world.until(lambda: bool(world.exits))
    timer = fleet._refill
    await world.until(lambda: fleet._refill is not timer)

    now.time += world.exits[0].next_start_in_s

    await world.until(lambda: len(fleet.running) == 1)


async def test_trouble_is_over_once_a_later_worker_has_stayed_up(world: World) -> None:
    now = SimpleNamespace(time=100.0)
    fleet = world.fleet(WORKS, monotonic=lambda: now.time)
    await fleet.scale(1)
    await world.up(fleet, 1)
    fleet.running[0].child.send_group(signal.SIGKILL)
    await world.until(lambda: fleet.trouble is not None)
    now.time += 60
    await fleet.scale(1)
    assert "SIGKILL" in (fleet.trouble or "")

    now.time += 60

    assert fleet.trouble is None


async def test_logs_of_workers_that_have_gone_do_not_pile_up(world: World) -> None:
    fleet = world.fleet("", argv=("/bin/sh", "-c", "exec sleep 60"), keep_logs=False)
    await fleet.scale(25)

    await fleet.scale(0)

    await world.until(lambda: not fleet.running)
    assert len(list(world.folder.glob("*.log"))) == 20


async def test_a_program_that_does_not_exist_is_trouble_and_no_error(world: World) -> None:
    fleet = world.fleet("", argv=("/nowhere/python",))

    await fleet.scale(1)

    assert "/nowhere/python" in (fleet.trouble or "")
    assert fleet.running == ()


async def test_workers_that_are_not_wanted_any_more_are_not_started_again(world: World) -> None:
    now = SimpleNamespace(time=100.0)
    fleet = world.fleet(FAILS, monotonic=lambda: now.time)
    await fleet.scale(1)
    await world.until(lambda: bool(world.exits))

    now.time += 3600  # its back-off has passed
    await fleet.scale(0)

    assert fleet.running == ()


async def test_a_warm_stop_lets_workers_go_by_themselves(world: World) -> None:
    fleet = world.fleet(WORKS)
    await fleet.scale(2)
    await world.up(fleet, 2)
    children = [worker.child for worker in fleet.running]

    await fleet.stop()

    assert [child.exited.result() for child in children] == [0, 0]
    assert fleet.running == ()


async def test_a_cold_stop_ends_a_warm_one_that_is_under_way(world: World) -> None:
    fleet = world.fleet(STAYS)
    await fleet.scale(1)
    await world.up(fleet, 1)
    child = fleet.running[0].child
    warm = asyncio.create_task(fleet.stop())

    await fleet.stop_cold()

    await warm
    assert child.exited.result() < 0


async def test_worker_seconds_count_those_that_have_gone_and_those_that_run(world: World) -> None:
    now = SimpleNamespace(time=100.0)
    fleet = world.fleet(WORKS, monotonic=lambda: now.time)
    await fleet.scale(1)
    await world.up(fleet, 1)
    now.time = 110.0
    await fleet.scale(0, (fleet.running[0].name,))
    await world.until(lambda: not fleet.running)

    await fleet.scale(2)
    now.time = 113.0

    assert fleet.worker_seconds() == pytest.approx(10 + 2 * 3)

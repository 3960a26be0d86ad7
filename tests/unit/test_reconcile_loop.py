"""The loop around gathering, deciding, acting, telling: when it looks, whose error is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

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
from sluiceway.report.status import DEMAND_KNOWN, FleetStatus
from sluiceway_worker.wire import CONSUMING, Heartbeat

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


def heartbeat(fleet: str, name: str) -> Heartbeat:
    return Heartbeat(
        incarnation=f"{name}:1", name=name, fleet=fleet, queues=[], state=CONSUMING, slots=1
    )


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


async def running(world: World) -> asyncio.Task[None]:
    """Start the loop, and let it have looked at all fleets once."""
    task = asyncio.create_task(world.loop.run())
    await world.looks.get()
    return task


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


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

"""When a fleet's status is made anew: at once for what people wait for, rarely for numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.cluster.reports import ClusterReports
from sluiceway.cluster.settle import Settled
from sluiceway.cluster.specs import Specs
from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import QueueView
from sluiceway.observe import Watched
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers
from sluiceway.report.status_queue import NUMBERS_EVERY_S
from sluiceway.report.status_writer import StatusWriter

BEGAN = 1_700_000_000.0
VIDEO = "shop/video"
BODY = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "TaskQueue",
    "metadata": {"name": "video", "namespace": "shop", "uid": "u", "generation": 1},
    "spec": {"broker": {"url": "redis://r:6379/0"}, "worker": {"app": "shop", "image": "shop:1"}},
}


class Nobody:
    """Takes every write, and warns of what it is told to."""

    warnings: tuple[str, ...] = ()

    async def request(self, *_: object, **__: object) -> bytes:
        return b"{}"

    def warnings_of(self, key: str) -> tuple[str, ...]:
        return self.warnings

    def looked_at(self, status: object) -> None:
        pass


class Told:
    """The reports of one fleet, on a clock that the test moves."""

    def __init__(self, nobody: Nobody) -> None:
        self.now = BEGAN
        self.nobody = nobody
        self.statuses = StatusWriter(
            cast(Any, nobody), may_write=lambda: False, gone=lambda key: None
        )
        self.specs = Specs()
        self.specs.put_taskqueue(BODY)
        self.reports = ClusterReports(
            specs=self.specs,
            statuses=self.statuses,
            events=None,
            meters=FleetMeters(),
            clock=lambda: self.now,
        )

    def settle(self) -> None:
        spec = self.specs.taskqueues[VIDEO]
        assert spec.taskqueue is not None
        watched = Watched.of(spec.taskqueue, "redis://r:6379/0")
        self.reports.settled(spec, Settled(watched=watched))

    def look(self, waiting: int, verdict: Verdict = Verdict.TRUE, **workers: int) -> None:
        self.reports.add(fleet(self.now, waiting, verdict, **workers))

    @property
    def status(self) -> dict[str, Any]:
        return self.statuses.latest(VIDEO)


def fleet(at: float, waiting: int, verdict: Verdict, **workers: int) -> FleetStatus:
    given = {"asked": 3, "asked_before": 3, "desired": 3, "ready": 3, "starting": 0}
    given |= {"draining": 0, "silent": 0, "asked_to_drain": 0} | workers
    verdicts = {READY: verdict, DEMAND_KNOWN: Verdict.TRUE, WAKING: Verdict.TRUE}
    return FleetStatus(
        fleet=VIDEO,
        at=at,
        queues=(QueueView(name="video", length=waiting),),
        waiting=waiting,
        oldest_wait_s=None,
        in_flight=0,
        scheduled=0,
        arrival_rate_per_s=0.0,
        mean_run_time_s=None,
        workers_report=True,
        workers=Workers(**given),
        reason=Reason.MEETING_TARGET,
        sentence=f"3 workers: {waiting} waiting tasks.",
        steps=(),
        conditions=tuple(
            Condition(type=kind, status=one, reason="Fine", message=f"{waiting}", since=BEGAN)
            for kind, one in verdicts.items()
        ),
    )


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    nobody = Nobody()
    told = Told(nobody)
    async with told.reports.term(cast(Any, nobody)):
        told.settle()
        yield told


async def test_numbers_alone_are_told_again_when_the_last_are_ten_seconds_old(told: Told) -> None:
    told.look(waiting=5)
    assert told.status["waiting"] == 5
    told.now += 2
    told.look(waiting=7)
    assert told.status["waiting"] == 5

    told.now += NUMBERS_EVERY_S
    told.look(waiting=9)

    assert told.status["waiting"] == 9


@pytest.mark.parametrize(
    "change",
    [
        {"ready": 2},
        {"asked": 4, "asked_before": 3},
        {"verdict": Verdict.UNKNOWN},
        {"verdict": Verdict.FALSE},
    ],
    ids=str,
)
async def test_what_people_wait_for_is_told_at_once(told: Told, change: dict[str, Any]) -> None:
    told.look(waiting=5)
    told.now += 2

    told.look(waiting=7, **change)

    assert told.status["waiting"] == 7


async def test_what_has_gone_wrong_for_long_is_a_trouble_though_nothing_else_changes(
    told: Told,
) -> None:
    for _ in range(70):
        told.look(5, Verdict.FALSE)
        told.now += 2

    ready = next(one for one in told.status["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "False"


async def test_a_broker_that_loses_tasks_is_told_at_once(told: Told) -> None:
    told.look(waiting=5)
    told.now += 2
    told.nobody.warnings = ("it evicts keys",)

    told.look(waiting=5)

    types = {one["type"] for one in told.status["conditions"]}
    assert "BrokerMayLoseTasks" in types


async def test_the_last_numbers_of_a_fleet_that_comes_to_rest_are_told(told: Told) -> None:
    told.look(waiting=5)
    told.now += 2
    told.look(waiting=0)
    assert told.status["waiting"] == 5

    told.now += 2
    told.reports.still(VIDEO, told.now)

    assert told.status["waiting"] == 0


async def test_a_taskqueue_that_is_settled_anew_is_told_of_at_once(told: Told) -> None:
    told.look(waiting=5)
    told.now += 2
    told.look(waiting=7)

    told.settle()

    assert told.status["waiting"] == 7

"""Statuses and Events, written to a real API server with no more rights than they need."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.paths import MANIFESTS

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.decide.decision import Reason, Step
from sluiceway.decide.observation import QueueView
from sluiceway.kube.client import KubeClient
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.event_series import COUNT_EVERY_S
from sluiceway.report.event_writer import EventWriter
from sluiceway.report.notices import Notice, Subject
from sluiceway.report.resource import Seen, SetupProblem, resource_status
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers
from sluiceway.report.status_queue import encoded
from sluiceway.report.status_writer import StatusWriter

TASKQUEUE: dict[str, Any] = {
    "apiVersion": "sluiceway.dev/v1alpha1",
    "kind": "TaskQueue",
    "metadata": {"name": "video"},
    "spec": {
        "queues": ["video", "clips"],
        "broker": {"url": "redis://redis:6379/0"},
        "worker": {"app": "tasks", "image": "example.invalid/shop:1"},
    },
}
RIGHTS = [
    {"apiGroups": ["sluiceway.dev"], "resources": ["taskqueues/status"], "verbs": ["patch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
AT = 1_700_000_000.0
SCALED = Notice(at=AT, reason="ScaledUp", action="Scale", note="3 → 12 asked for")


def fleet(**more: Any) -> FleetStatus:
    """As full as a status can be."""
    fine = (
        Condition(type=kind, status=Verdict.TRUE, reason="Fine", message="fine", since=AT)
        for kind in (READY, DEMAND_KNOWN, WAKING)
    )
    given = {
        "fleet": "shop/video",
        "at": AT,
        "queues": (QueueView(name="video", length=1_140, oldest_wait_s=35.4),),
        "waiting": 1_140,
        "oldest_wait_s": 35.4,
        "in_flight": 12,
        "scheduled": 2,
        "arrival_rate_per_s": 2.13,
        "mean_run_time_s": 2.14,
        "workers_report": True,
        "workers": Workers(
            asked=12,
            asked_before=3,
            desired=12,
            ready=12,
            starting=0,
            draining=0,
            silent=0,
            asked_to_drain=0,
        ),
        "reason": Reason.MEETING_TARGET,
        "sentence": "12 workers: 1 140 waiting tasks.",
        "steps": (
            Step(name="demand", replicas=None, sentence="1 140 wait."),
            Step(name="limits", replicas=12, sentence="Between 0 and 40."),
        ),
        "conditions": tuple(fine),
    }
    return FleetStatus(**given | more)


def body(seen: FleetStatus | None, before: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {
        "at": AT,
        "generation": 1,
        "taskqueue": TaskQueue.from_outside(TASKQUEUE),
        "class_name": "high-cpu",
    }
    return resource_status(Seen(fleet=seen, **given | more), before)


@pytest.fixture
def shop(control_plane: ControlPlane, namespace: Namespace) -> Namespace:
    """A namespace with a TaskQueue that nobody has looked at."""
    control_plane.kubectl.run("apply", "--filename", MANIFESTS / "crds")
    control_plane.kubectl.run(
        "wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"
    )
    namespace.kubectl.apply(json.dumps(TASKQUEUE))
    return namespace


@pytest.fixture
async def client(control_plane: ControlPlane, shop: Namespace) -> AsyncIterator[KubeClient]:
    kubeconfig: Path = await asyncio.to_thread(
        control_plane.service_account, "reporter", shop.name, RIGHTS
    )
    async with await KubeClient.connect(kubeconfig) as client:
        yield client


@asynccontextmanager
async def running(part: StatusWriter | EventWriter) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def eventually(holds: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await asyncio.to_thread(holds)):  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.05)
        return found


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Statuses:
    """A writer that runs, on a clock that the test moves."""

    shop: Namespace
    writer: StatusWriter
    gone: list[str]
    clock: Clock

    def put(self, seen: FleetStatus | None, **more: Any) -> dict[str, Any]:
        key = f"{self.shop.name}/video"
        wanted = body(seen, self.writer.latest(key), **more)
        self.writer.put(key, wanted)
        return wanted

    def there(self) -> dict[str, Any]:
        return self.shop.kubectl.get("taskqueue", "video")

    async def until(self, wanted: dict[str, Any]) -> dict[str, Any]:
        await eventually(lambda: self.there().get("status") == wanted)
        return self.there()


@pytest.fixture
async def statuses(client: KubeClient, shop: Namespace) -> AsyncIterator[Statuses]:
    gone: list[str] = []
    clock = Clock()
    writer = StatusWriter(client, may_write=lambda: True, gone=gone.append, clock=clock)
    async with running(writer):
        yield Statuses(shop, writer, gone, clock)


async def test_the_fullest_status_is_kept_to_the_letter_and_shown_at_a_glance(
    statuses: Statuses,
) -> None:
    wanted = statuses.put(fleet(), broker_warnings=("set noeviction",))
    there = await statuses.until(wanted)

    shown = statuses.shop.kubectl.run(
        "get", "tq", "video", "--show-managed-fields", "--output=json"
    )
    fields = json.loads(shown)["metadata"]["managedFields"]
    managers = {(one["manager"], one.get("subresource")) for one in fields}
    assert ("sluiceway", "status") in managers
    assert there["metadata"]["generation"] == 1
    heading, row = statuses.shop.kubectl.run("get", "tq").splitlines()
    assert heading.split() == [
        "NAME", "QUEUES", "WAITING", "OLDEST", "RUNNING", "WORKERS", "DESIRED", "CLASS",
        "REASON", "AGE",
    ]  # fmt: skip
    assert row.split()[:-1] == [
        "video", "video,clips", "1100", "35s", "12", "12", "12", "high-cpu", "MeetingTarget",
    ]  # fmt: skip


async def test_what_becomes_unknown_vanishes_and_what_stays_is_not_written(
    statuses: Statuses,
) -> None:
    await statuses.until(statuses.put(fleet()))
    statuses.clock.now = 60.0
    unknown = fleet(waiting=None, oldest_wait_s=None, in_flight=None, arrival_rate_per_s=None)
    there = await statuses.until(statuses.put(unknown))
    assert not there["status"].keys() & {"waiting", "oldestTaskAge", "inFlight", "arrivalRate"}
    (_, row) = statuses.shop.kubectl.run("get", "tq").splitlines()
    assert row.split()[:3] == ["video", "video,clips", "12"]

    statuses.clock.now = 120.0
    statuses.put(unknown)
    await statuses.until(statuses.put(None, problem=SetupProblem(reason="NoClass", sentence="so")))
    again = statuses.there()
    assert "desiredReplicas" not in again["status"]
    assert again["status"]["changes"] == there["status"]["changes"]


async def test_who_takes_over_writes_nothing_that_is_there_already(
    client: KubeClient, statuses: Statuses
) -> None:
    before = await statuses.until(statuses.put(fleet()))
    asked: list[Any] = []

    class Counting:
        async def request(self, *arguments: Any, **more: Any) -> bytes:
            asked.append(more["body"])
            return await client.request(*arguments, **more)

    next_one = StatusWriter(Counting(), may_write=lambda: True, gone=statuses.gone.append)
    key = f"{statuses.shop.name}/video"
    next_one.adopt(key, encoded(before["status"]))
    async with running(next_one):
        next_one.put(key, body(fleet(), next_one.latest(key)))
        next_one.put(key, body(fleet(sentence="news."), next_one.latest(key)))
        await eventually(lambda: statuses.there()["status"]["message"] == "news.")

    assert asked == [{"status": {"message": "news."}}]


async def test_kubectl_waits_for_what_is_ready_and_sees_what_is_stalled(statuses: Statuses) -> None:
    wait = ("wait", "taskqueue/video", "--timeout=30s")
    await statuses.until(statuses.put(None))
    statuses.put(fleet())
    await asyncio.to_thread(statuses.shop.kubectl.run, *wait, "--for=condition=Ready")
    statuses.put(None, problem=SetupProblem(reason="NoClass", sentence="there is no WorkerClass"))
    await asyncio.to_thread(statuses.shop.kubectl.run, *wait, "--for=condition=Stalled")


async def test_a_taskqueue_that_was_deleted_is_called_back(statuses: Statuses) -> None:
    statuses.shop.kubectl.run("delete", "taskqueue", "video")
    statuses.put(fleet())

    await eventually(lambda: statuses.gone == [f"{statuses.shop.name}/video"])


async def test_events_are_taken_count_and_are_found_with_their_taskqueue(
    client: KubeClient, shop: Namespace
) -> None:
    uid = shop.kubectl.get("taskqueue", "video")["metadata"]["uid"]
    subject = Subject(namespace=shop.name, name="video", uid=uid)
    clock = Clock()
    writer = EventWriter(client, reporter="sluiceway-0", may_write=lambda: True, clock=clock)

    def events() -> list[dict[str, Any]]:
        return shop.kubectl.items("events.events.k8s.io")

    async with running(writer):
        writer.tell(subject, SCALED)
        (made,) = await eventually(events)
        assert "series" not in made
        clock.now = COUNT_EVERY_S
        writer.tell(subject, SCALED)
        writer.tell(subject, SCALED)
        (counted,) = await eventually(lambda: [one for one in events() if "series" in one])

    assert counted["series"]["count"] == 3
    assert (counted["reason"], counted["type"], counted["note"]) == (
        "ScaledUp", "Normal", "3 → 12 asked for",
    )  # fmt: skip
    described = shop.kubectl.run("describe", "taskqueue", "video")
    assert "(x3 over" in described
    assert "3 → 12 asked for" in described


async def test_an_event_that_counts_already_when_it_is_made_and_is_long_is_taken(
    client: KubeClient, shop: Namespace
) -> None:
    subject = Subject(namespace=shop.name, name="a" * 199 + "-" + "b" * 53, uid="1")
    writer = EventWriter(client, reporter="x" * 300, may_write=lambda: True)
    writer.tell(subject, Notice(at=AT, reason="Failed", action="Reconcile", note="→" * 2_000))
    writer.tell(subject, Notice(at=AT, reason="Failed", action="Reconcile", note="→" * 2_000))
    async with running(writer):
        (made,) = await eventually(lambda: shop.kubectl.items("events.events.k8s.io"))

    assert made["series"]["count"] == 2
    assert made["note"].endswith("→…")

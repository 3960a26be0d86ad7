"""Which Events a cluster gets of a TaskQueue, how they count, and what a failure costs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from sluiceway.kube.errors import KubeError
from sluiceway.report.event_series import COUNT_EVERY_S, IN_FLIGHT, SERIES_S, Call, EventSeries
from sluiceway.report.event_writer import EventWriter
from sluiceway.report.events import Event, Kind
from sluiceway.report.notices import Notice, Subject, notice_of, notices_between

VIDEO = Subject(namespace="shop", name="video", uid="8b7d")
WALL = 1_700_000_000.0


def notice(reason: str = "ScaledUp", at: float = WALL, **more: Any) -> Notice:
    given = {"action": "Scale", "note": "0 → 5 asked for"} | more
    return Notice(at=at, reason=reason, **given)


class Term:
    """The Events of one term, on a clock that the test moves."""

    def __init__(self, **more: Any) -> None:
        self.series = EventSeries(reporter="sluiceway-7c9-x", **more)
        self.now = 0.0

    def tell(self, *notices: Notice, subject: Subject = VIDEO) -> None:
        for one in notices:
            self.series.tell(subject, one, self.now)

    def make_all(self) -> list[Call]:
        made = []
        while calls := self.series.take(self.now):
            made += calls
            for call in calls:
                self.series.done(call, self.now)
        return made


@pytest.fixture
def term() -> Term:
    return Term()


def test_an_event_says_what_of_whom_and_by_whom(term: Term) -> None:
    term.tell(notice())
    (call,) = term.make_all()

    assert call.creates
    assert call.body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": call.name, "namespace": "shop"},
        "eventTime": "2023-11-14T22:13:20.000000Z",
        "type": "Normal",
        "reason": "ScaledUp",
        "action": "Scale",
        "note": "0 → 5 asked for",
        "regarding": {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "namespace": "shop",
            "name": "video",
            "uid": "8b7d",
        },
        "reportingController": "sluiceway.dev/operator",
        "reportingInstance": "sluiceway-7c9-x",
    }


def test_what_is_told_at_every_tick_is_one_event_that_counts_twice_a_minute(term: Term) -> None:
    made = []
    for second in range(0, 121, 2):
        term.now = float(second)
        term.tell(notice(at=WALL + second))
        made += [(term.now, call) for call in term.make_all()]

    assert [(at, call.creates) for at, call in made] == [
        (0.0, True), (30.0, False), (60.0, False), (90.0, False), (120.0, False),
    ]  # fmt: skip
    assert len({call.name for _, call in made}) == 1
    assert made[-1][1].body == {
        "series": {"count": 61, "lastObservedTime": "2023-11-14T22:15:20.000000Z"}
    }


def test_the_last_ones_are_counted_also_when_nothing_more_is_told(term: Term) -> None:
    term.tell(notice())
    term.make_all()
    term.tell(notice(), notice())

    assert term.series.next_at() == COUNT_EVERY_S
    term.now = COUNT_EVERY_S
    (call,) = term.make_all()
    assert call.body["series"]["count"] == 3
    assert term.series.next_at() is None


def test_after_ten_minutes_a_new_event_has_a_note_of_its_own(term: Term) -> None:
    term.tell(notice())
    (first,) = term.make_all()
    term.now = SERIES_S
    term.tell(notice(at=WALL + SERIES_S, note="5 → 12 asked for"))
    (second,) = term.make_all()

    assert second.creates
    assert second.name != first.name
    assert second.body["note"] == "5 → 12 asked for"


def test_other_reasons_and_other_objects_have_events_of_their_own(term: Term) -> None:
    term.tell(notice(), notice("ScaledDown"), notice(is_warning=True))
    term.tell(notice(), subject=Subject(namespace="shop", name="video", uid="made-anew"))

    assert len({call.name for call in term.make_all()}) == 4


def test_a_call_that_may_work_later_is_made_again_under_the_same_name(term: Term) -> None:
    term.tell(notice())
    (call,) = term.series.take(term.now)
    term.series.failed(call, term.now)
    term.tell(notice())
    assert term.series.take(term.now) == []
    term.now = 60.0
    (again,) = term.make_all()

    assert (again.creates, again.name) == (True, call.name)
    assert again.body["series"]["count"] == 2


def test_what_is_refused_is_not_tried_again_within_ten_minutes(term: Term) -> None:
    term.tell(notice())
    (call,) = term.series.take(term.now)
    term.series.refused(call)
    term.now = 60.0
    term.tell(notice())
    assert term.make_all() == []
    term.now = SERIES_S
    term.tell(notice())

    assert len(term.make_all()) == 1


def test_an_event_that_is_gone_is_begun_anew(term: Term) -> None:
    term.tell(notice())
    term.make_all()
    term.tell(notice())
    term.now = COUNT_EVERY_S
    (call,) = term.series.take(term.now)
    term.series.vanished(call)
    term.tell(notice(at=WALL + 1))
    (anew,) = term.make_all()

    assert anew.creates
    assert "series" not in anew.body


def test_the_memory_is_bounded_and_few_calls_are_under_way() -> None:
    term = Term(most=50)
    for n in range(1_000):
        term.tell(notice(), subject=Subject(namespace="shop", name=f"q{n}", uid=str(n)))

    under_way = term.series.take(term.now)
    assert len(under_way) == IN_FLIGHT
    assert term.series.take(term.now) == []
    assert term.series.next_at() is None
    for call in under_way:
        term.series.done(call, term.now)
    assert len(under_way + term.make_all()) == 50


def test_long_names_and_notes_are_cut_to_what_an_api_server_takes(term: Term) -> None:
    long = Subject(namespace="shop", name="a" * 199 + "-" + "b" * 53, uid="1")
    term.tell(notice(note="→" * 2_000), subject=long)
    (call,) = term.make_all()

    assert len(call.name) <= 253
    assert "-." not in call.name
    assert len(call.body["note"].encode()) <= 1_024
    assert call.body["note"].endswith("→…")


@pytest.mark.parametrize(
    ("kind", "is_warning"),
    [(Kind.SCALED_UP, False), (Kind.DEMAND_UNKNOWN, True), (Kind.WORKER_ENDED, True)],
)
def test_what_happens_to_a_fleet_is_normal_or_a_warning(kind: Kind, is_warning: bool) -> None:
    told = notice_of(
        Event(at=WALL, fleet="shop/video", kind=kind, sentence="it is so", details=("why",))
    )

    assert (told.reason, told.is_warning, told.note) == (kind.value, is_warning, "it is so\nwhy")


def test_every_kind_of_event_has_an_action() -> None:
    for kind in Kind:
        assert notice_of(Event(at=WALL, fleet="shop/video", kind=kind, sentence="so")).action


def conditions(*told: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": f"{reason} it is"}
            for kind, status, reason in told
        ]
    }


FINE = conditions(("Ready", "True", "WorkersReady"), ("WorkersReport", "False", "NoAgent"))


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (("Stalled", "True", "WorkerClassNotFound"), "WorkerClassNotFound"),
        (("Ready", "Unknown", "WorkersFailing"), "WorkersFailing"),
        (("BrokerMayLoseTasks", "True", "UnsafeSettings"), "UnsafeSettings"),
        (("WorkersReport", "False", "AgentMissing"), "AgentMissing"),
    ],
)
def test_a_trouble_is_told_when_it_begins_and_not_while_it_lasts(
    condition: tuple[str, str, str], reason: str
) -> None:
    bad = conditions(condition)
    (told,) = notices_between(FINE, bad, WALL)

    assert (told.reason, told.note, told.is_warning) == (reason, f"{reason} it is", True)
    assert notices_between(bad, bad, WALL) == ()
    assert notices_between(bad, FINE, WALL) == ()
    assert len(notices_between({}, bad, WALL)) == 1


class Server:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer: KubeError | None = None
        self.news = asyncio.Event()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        self.asked.append((method, path))
        self.news.set()
        if self.answer is not None:
            raise self.answer
        return b"{}"


@pytest.fixture
def server() -> Server:
    return Server()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def writer(server: Server, clock: Clock) -> AsyncIterator[EventWriter]:
    writer = EventWriter(server, reporter="me", may_write=lambda: True, clock=clock)
    task = asyncio.create_task(writer.run())
    yield writer
    assert not task.done(), "nothing ends it"
    task.cancel()
    await asyncio.wait([task])


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_event_is_posted_where_its_object_lives_and_counted_later(
    writer: EventWriter, server: Server, clock: Clock
) -> None:
    writer.tell(VIDEO, notice())
    await settle()
    clock.now = COUNT_EVERY_S
    writer.tell(VIDEO, notice())
    await settle()

    (post, patch) = server.asked
    assert post == ("POST", "/apis/events.k8s.io/v1/namespaces/shop/events")
    assert patch[0] == "PATCH"
    assert patch[1].startswith("/apis/events.k8s.io/v1/namespaces/shop/events/video.")


async def test_failures_are_logged_once_and_stop_nothing(
    writer: EventWriter, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = KubeError("a permission is missing", status=403)
    with caplog.at_level(logging.WARNING):
        for reason in ("ScaledUp", "ScaledDown", "Draining"):
            writer.tell(VIDEO, notice(reason))
        await settle()

    assert len(server.asked) == 3
    (record,) = caplog.records
    assert "a permission is missing" in record.getMessage()
    server.answer = None
    writer.tell(VIDEO, notice("Recalled"))
    await settle()
    assert len(server.asked) == 4


async def test_an_event_that_exists_already_counts_as_made(
    writer: EventWriter, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = KubeError("already exists", status=409)
    writer.tell(VIDEO, notice())
    await settle()
    server.answer = None
    clock.now = COUNT_EVERY_S
    writer.tell(VIDEO, notice())
    await settle()

    assert [method for method, _ in server.asked] == ["POST", "PATCH"]
    assert caplog.records == []


async def test_who_does_not_lead_tells_nothing(server: Server) -> None:
    writer = EventWriter(server, reporter="me", may_write=lambda: False)
    task = asyncio.create_task(writer.run())
    writer.tell(VIDEO, notice())
    await settle()
    task.cancel()
    await asyncio.wait([task])

    assert server.asked == []

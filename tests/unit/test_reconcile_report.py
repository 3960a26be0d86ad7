"""What is told of a fleet after a tick: its status, what changed, and how people read it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sluiceway.decide.decision import Decision, Reason, Step
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView, WorkerState, WorkerView
from sluiceway.report.events import Kind, events_between
from sluiceway.report.journal import CHANGES, Journal
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, status_of
from sluiceway.report.story import FleetStory, Story
from sluiceway.report.words import number, seconds, workers

KNOWN = (QueueView(name="video", length=4, oldest_wait_s=2.5),)
UNREAD = (QueueView(name="video", problem="it is a string, not a list"),)


def worker(name: str, state: WorkerState, **more: Any) -> WorkerView:
    return WorkerView(name=name, incarnation=f"{name}:1", state=state, **more)


def status(
    *states: WorkerState,
    at: float = 0.0,
    asked: int = 0,
    desired: int | None = None,
    drain: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
    queues: tuple[QueueView, ...] = KNOWN,
    before: FleetStatus | None = None,
    not_waking: str | None = None,
    trouble: str | None = None,
    history: History | None = None,
    **seen: Any,
) -> FleetStatus:
    """The status of a fleet whose workers are ``w0``, ``w1``… in these states."""
    observation = Observation(
        at=at,
        queues=queues,
        workers=tuple(worker(f"w{n}", state) for n, state in enumerate(states)),
        replicas=asked,
        **seen,
    )
    decision = Decision(
        at=at,
        current=asked,
        recommendation=asked,
        desired=asked if desired is None else desired,
        replicas=asked,
        drain=drain,
        remove=remove,
        reason=Reason.MEETING_TARGET,
        sentence="as many as are needed.",
        steps=(Step(name="demand", replicas=None, sentence="4 waiting."),),
        history=history or History(),
    )
    return status_of(
        "shop/video",
        observation,
        decision,
        asked=asked,
        not_waking=not_waking,
        trouble=trouble,
        before=before,
    )


CONSUMING, STARTING = WorkerState.CONSUMING, WorkerState.STARTING


def test_workers_are_counted_by_what_they_do() -> None:
    counts = status(
        *(CONSUMING, CONSUMING, STARTING, WorkerState.DRAINING, WorkerState.DRAINED),
        *(WorkerState.STOPPING, WorkerState.SILENT),
        asked=6,
        desired=4,
    ).workers

    assert (counts.ready, counts.starting, counts.draining, counts.silent) == (2, 1, 3, 1)
    assert (counts.asked, counts.desired) == (6, 4)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"queues": UNREAD}, "QueueUnknown"),
        ({"broker_problem": "nothing listens there", "queues": UNREAD}, "BrokerUnknown"),
        ({"mismatch": "worker w0 uses database 5"}, "BrokerMismatch"),
    ],
    ids=["one queue", "the broker", "another broker"],
)
def test_a_number_that_is_not_known_is_none_and_the_conditions_say_why(
    seen: dict[str, Any], reason: str
) -> None:
    told = status(CONSUMING, asked=1, **seen)

    assert told.waiting is None
    assert (told.condition(DEMAND_KNOWN).status, told.condition(DEMAND_KNOWN).reason) == (
        "False",
        reason,
    )
    assert told.condition(READY).status == "Unknown"


@pytest.mark.parametrize(
    ("states", "trouble", "verdict", "reason"),
    [
        ((CONSUMING, CONSUMING), None, "True", "MeetingTarget"),
        ((CONSUMING, STARTING), None, "Unknown", "WorkersStarting"),
        ((CONSUMING,), "no module named tasks", "False", "WorkersFailing"),
        ((CONSUMING, CONSUMING), "an old story", "True", "MeetingTarget"),
    ],
    ids=["all consume", "one is starting", "one does not stay up", "they are all there"],
)
def test_a_fleet_is_ready_when_as_many_consume_as_it_should_have(
    states: tuple[WorkerState, ...], trouble: str | None, verdict: str, reason: str
) -> None:
    ready = status(*states, asked=2, trouble=trouble).condition(READY)

    assert (ready.status, ready.reason) == (verdict, reason)


def test_polling_is_said_with_its_reason() -> None:
    waking = status(not_waking="a proxy refuses CLIENT TRACKING").condition(WAKING)

    assert (waking.status, waking.message) == (
        "False",
        "polling, because a proxy refuses CLIENT TRACKING",
    )


def test_a_condition_s_time_moves_only_when_its_verdict_does() -> None:
    first = status(STARTING, asked=1, at=100.0)
    same = status(STARTING, asked=1, at=200.0, before=first)
    other = status(CONSUMING, asked=1, at=300.0, before=same)

    assert [s.condition(READY).since for s in (first, same, other)] == [100.0, 100.0, 300.0]


def kinds(before: FleetStatus | None, after: FleetStatus) -> list[Kind]:
    return [event.kind for event in events_between(before, after)]


def test_a_fleet_that_stays_as_it_is_says_nothing() -> None:
    one = status(CONSUMING, asked=1)

    assert kinds(one, replace(one, at=60.0)) == []
    assert kinds(None, status()) == []


def test_a_fleet_that_is_taken_over_with_its_workers_was_not_scaled_up() -> None:
    assert kinds(None, status(CONSUMING, asked=1)) == []


def test_what_was_learned_of_a_fleet_is_told_and_arrivals_only_while_they_are_known() -> None:
    learned = Learned(rate_per_s=-0.1, run_times={"resize": RunStats(runs=4.0, sum_s=8.0)})

    known = status(history=History(learned=learned), in_flight=0, before=status(in_flight=0))
    unknown = status(history=History(learned=learned), broker_problem="nothing listens there")

    assert (known.arrival_rate_per_s, known.mean_run_time_s) == (0.0, 2.0)
    assert (unknown.arrival_rate_per_s, unknown.mean_run_time_s) == (None, 2.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, {"in_flight": 0}),
        ({"in_flight": 0}, {"in_flight": None}),
        ({"in_flight": 0}, {"in_flight": 0, "queues": UNREAD}),
        ({"in_flight": 0, "queues": UNREAD}, {"in_flight": 0}),
    ],
    ids=["one reading", "in flight is unknown", "a queue is unknown", "it was unknown before"],
)
def test_arrivals_are_told_from_two_readings_in_a_row_and_unknown_else(
    before: dict[str, Any] | None, now: dict[str, Any]
) -> None:
    history = History(learned=Learned(rate_per_s=0.5))
    earlier = None if before is None else status(history=history, **before)

    assert status(history=history, before=earlier, **now).arrival_rate_per_s is None


def test_a_scale_down_is_told_once_for_asking_and_once_for_going() -> None:
    """No recall is told of the worker that goes."""
    full = status(CONSUMING, CONSUMING, asked=2)
    asking = status(CONSUMING, CONSUMING, asked=2, desired=1, drain=("w1:1",))
    going = status(CONSUMING, WorkerState.DRAINED, asked=1, drain=("w1:1",), remove=("w1",))
    gone = status(CONSUMING, WorkerState.STOPPING, asked=1)

    assert kinds(full, asking) == [Kind.DRAINING]
    assert kinds(asking, going) == [Kind.SCALED_DOWN]
    assert kinds(going, gone) == []


def test_demand_that_returns_is_told_as_a_recall() -> None:
    asking = status(CONSUMING, WorkerState.DRAINING, asked=2, desired=1, drain=("w1:1",))

    assert kinds(asking, status(CONSUMING, WorkerState.DRAINING, asked=2)) == [Kind.RECALLED]


def test_demand_that_becomes_unknown_is_told_and_so_is_its_return() -> None:
    known, unknown = status(), status(broker_problem="nothing listens there", queues=UNREAD)

    assert kinds(known, unknown) == [Kind.DEMAND_UNKNOWN]
    assert kinds(unknown, unknown) == []
    assert kinds(unknown, known) == [Kind.DEMAND_KNOWN]


async def test_whoever_follows_the_journal_is_told_every_change() -> None:
    journal = Journal()
    following = journal.follow()
    journal.add(status())
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)  # it listens from its first step on
    journal.add(status(asked=2))

    assert (await waiting).kind is Kind.SCALED_UP
    await following.aclose()


def test_a_visibility_timeout_that_is_too_short_is_told_once_while_it_lasts() -> None:
    fine = status(CONSUMING, asked=1)
    one, other = (replace(fine, timeout_warnings=(text,)) for text in ("it is 60s", "it is 59s"))

    told = [event.kind for event in events_between(fine, one)]

    assert told == [Kind.TIMEOUT_TOO_SHORT]
    assert events_between(one, other) == ()
    assert [event.sentence for event in events_between(None, other)] == ["it is 59s"]


def test_the_journal_keeps_samples_and_changes_of_a_fleet_and_no_more_than_it_may() -> None:
    journal = Journal(history=50)

    for n in range(200):
        journal.add(status(at=float(n), asked=n % 2))

    assert [s.at for s in journal.history("shop/video")] == [float(n) for n in range(150, 200)]
    assert len(journal.changes("shop/video")) == CHANGES
    assert journal.statuses["shop/video"].at == 199.0
    assert journal.history("shop/other") == ()


def test_a_story_is_read_back_as_it_was_told() -> None:
    one = status(CONSUMING, asked=1, desired=2, not_waking="a proxy refuses it")
    story = Story(
        pid=1, broker="redis://here:6379/0", fleets=(FleetStory(now=one, changes=(one, one)),)
    )

    assert Story.from_json(story.to_json()) == story


def test_what_is_no_story_is_refused() -> None:
    with pytest.raises(ValueError, match="fleets"):
        Story.from_json(b'{"pid": 1, "broker": ""}')


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (42.0, "42s"),
        (200.0, "3m20s"),
        (7_500.0, "2h05m"),
        (273_600.0, "3d04h"),
        # Rounding carries over into the larger unit.
        (9.96, "10s"),
        (59.7, "1m00s"),
        (3_599.8, "1h00m"),
    ],
)
def test_a_duration_is_shown_for_people(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_an_unknown_number_is_shown_as_unknown() -> None:
    assert (number(None), number(0), number(1_140)) == ("?", "0", "1 140")


def test_workers_are_shown_with_what_the_others_do() -> None:
    assert workers(status(CONSUMING, asked=1).workers) == "1/1"
    assert workers(status(CONSUMING, STARTING, asked=3).workers) == "1/3 (1 starting)"

"""The live view shows what is known, says what is not, and fits any terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sluiceway.decide.decision import Reason
from sluiceway.decide.observation import QueueView
from sluiceway.local.table import EVENTS_SHOWN, draw
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.events import Event, Kind
from sluiceway.report.status import DEMAND_KNOWN, READY, FleetStatus, Workers


def status(**more: Any) -> FleetStatus:
    conditions = {
        type_: Condition(type=type_, status=Verdict.TRUE, reason="Fine", message="fine", since=0.0)
        for type_ in (READY, DEMAND_KNOWN)
    }
    conditions |= more.pop("conditions", {})
    given = {
        "fleet": "default/video",
        "at": 0.0,
        "queues": (QueueView(name="video", length=1_140, oldest_wait_s=12.4),),
        "waiting": 1_140,
        "oldest_wait_s": 12.4,
        "in_flight": 8,
        "scheduled": 0,
        "arrival_rate_per_s": None,
        "mean_run_time_s": None,
        "workers_report": True,
        "workers": Workers(
            asked=4,
            asked_before=4,
            desired=4,
            ready=2,
            starting=2,
            draining=0,
            silent=0,
            asked_to_drain=0,
        ),
        "reason": Reason.MEETING_TARGET,
        "sentence": "4 workers: 1 140 waiting tasks.",
        "steps": (),
        "conditions": tuple(conditions.values()),
    }
    return FleetStatus(**given | more)


def shown(*statuses: FleetStatus, events: tuple[Event, ...] = (), width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(
        draw(
            [*(s.fleet for s in statuses), "default/new"],
            {s.fleet: s for s in statuses},
            events,
            broker="redis://here:6379/0",
            footer="Ctrl-C drains and stops",
        )
    )
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, fleet: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [fleet])


def test_a_fleet_is_a_row_with_its_numbers_and_its_sentence() -> None:
    text = shown(status())

    assert row(text, "video")[1:6] == ["1", "140", "12s", "8", "0"]
    assert "2/4 (2 starting)" in text
    assert "4 workers: 1 140 waiting tasks." in text


def test_an_unknown_number_is_a_question_mark_and_its_reason_stands_beside_it() -> None:
    unread = Condition(
        type=DEMAND_KNOWN,
        status=Verdict.FALSE,
        reason="BrokerUnknown",
        message="nothing listens there",
        since=0.0,
    )

    text = shown(
        status(
            waiting=None,
            in_flight=None,
            oldest_wait_s=None,
            queues=(QueueView(name="video"),),
            conditions={DEMAND_KNOWN: unread},
        )
    )

    assert row(text, "video")[1:4] == ["?", "?", "0"]
    assert "nothing listens there" in text


def test_a_wait_that_is_only_a_lower_bound_is_shown_as_one() -> None:
    seen = QueueView(name="video", length=1, oldest_wait_s=12.4, oldest_wait_is_exact=False)

    assert "≥12s" in shown(status(queues=(seen,)))


def test_workers_that_do_not_stay_up_are_told_with_their_last_words() -> None:
    failing = Condition(
        type=READY,
        status=Verdict.FALSE,
        reason="WorkersFailing",
        message="worker video-1 ended by itself: no module named tasks",
        since=0.0,
    )

    assert "no module named tasks" in shown(status(conditions={READY: failing}))


def test_a_fleet_that_was_not_looked_at_yet_is_shown_as_such() -> None:
    assert "not looked at yet" in " ".join(row(shown(), "new"))


def test_the_latest_events_are_shown_and_no_more_than_fit() -> None:
    events = tuple(
        Event(at=float(n), fleet="default/video", kind=Kind.SCALED_UP, sentence=f"event {n:02}.")
        for n in range(EVENTS_SHOWN + 5)
    )

    text = shown(events=events)

    assert "event 04." not in text
    assert "event 05." in text
    assert f"event {EVENTS_SHOWN + 4:02}." in text


@pytest.mark.parametrize("width", [40, 80, 250])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = Event(at=0.0, fleet="default/video", kind=Kind.FAILED, sentence="words " * 60)

    assert max(len(line) for line in shown(status(), events=(long,), width=width).splitlines()) <= (
        width
    )

"""The operator's log: one line for what changed, none for what stays, and never a password."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sluiceway.decide.decision import Reason
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.decision_log import DecisionLog
from sluiceway.report.logs import LogFormat, set_up_logging, without_secrets
from sluiceway.report.status import DEMAND_KNOWN, READY, WAKING, FleetStatus, Workers


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def written() -> io.StringIO:
    stream = io.StringIO()
    set_up_logging(LogFormat.JSON, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def status(asked_before: int, asked: int, drain: tuple[str, ...] = ()) -> FleetStatus:
    return FleetStatus(
        fleet="shop/video",
        at=1_000.0,
        queues=(),
        waiting=9,
        oldest_wait_s=None,
        in_flight=0,
        scheduled=0,
        arrival_rate_per_s=None,
        mean_run_time_s=None,
        workers_report=True,
        workers=Workers(
            asked=asked,
            asked_before=asked_before,
            desired=asked,
            ready=0,
            starting=0,
            draining=0,
            silent=0,
            asked_to_drain=len(drain),
        ),
        reason=Reason.MEETING_TARGET,
        sentence=f"{asked} workers: 9 waiting tasks.",
        steps=(),
        conditions=tuple(
            Condition(type=type_, status=Verdict.TRUE, reason="Fine", message="fine", since=0.0)
            for type_ in (READY, DEMAND_KNOWN, WAKING)
        ),
        drain=drain,
    )


def but(one: FleetStatus, type_: str, verdict: Verdict, message: str) -> FleetStatus:
    changed = Condition(type=type_, status=verdict, reason="Why", message=message, since=0.0)
    return replace(one, conditions=tuple(changed if c.type == type_ else c for c in one.conditions))


def test_a_decision_that_changed_something_is_one_line_with_its_fields(
    written: io.StringIO,
) -> None:
    decisions = DecisionLog()
    decisions.add(status(0, 5))

    (line,) = lines(written)

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "sluiceway.report.decision_log",
        "message": "shop/video: 0 → 5 workers asked for; 5 workers: 9 waiting tasks.",
        "namespace": "shop",
        "taskqueue": "video",
        "reason": "MeetingTarget",
        "from": 0,
        "to": 5,
        "desired": 5,
    }


def test_decisions_that_change_nothing_write_nothing(written: io.StringIO) -> None:
    decisions = DecisionLog()
    for _ in range(3):
        decisions.add(status(5, 5))

    assert lines(written) == []


def test_scaling_and_draining_by_one_decision_are_one_line(written: io.StringIO) -> None:
    decisions = DecisionLog()
    decisions.add(status(5, 5))
    decisions.add(status(5, 4, drain=("a", "b")))

    (line,) = lines(written)

    assert line["message"].startswith(
        "shop/video: 5 → 4 workers asked for, 2 asked to drain; 4 workers"
    )


def test_a_recall_is_told(written: io.StringIO) -> None:
    decisions = DecisionLog()
    decisions.add(status(5, 5, drain=("a",)))
    decisions.add(status(5, 5))

    assert "1 worker recalled" in lines(written)[-1]["message"]


def test_a_change_that_cannot_be_carried_out_is_not_told_at_every_tick(
    written: io.StringIO,
) -> None:
    decisions = DecisionLog()
    for _ in range(3):
        decisions.add(status(0, 5))

    assert len(lines(written)) == 1


def test_trouble_is_a_warning_when_it_begins_and_told_when_it_ends(
    written: io.StringIO,
) -> None:
    decisions = DecisionLog()
    fine = status(5, 5)
    for one in (
        fine,
        but(fine, DEMAND_KNOWN, Verdict.FALSE, "nothing listens there"),
        but(fine, DEMAND_KNOWN, Verdict.FALSE, "nothing listens there"),
        fine,
        but(fine, READY, Verdict.FALSE, "5 of 5 workers cannot get their image"),
        but(fine, READY, Verdict.FALSE, "5 of 5 workers cannot get their image"),
        fine,
    ):
        decisions.add(one)

    assert [(line["level"], line["message"]) for line in lines(written)] == [
        ("warning", "shop/video: demand is unknown: nothing listens there"),
        ("info", "shop/video: its queues can be read again"),
        ("warning", "shop/video: 5 of 5 workers cannot get their image"),
        ("info", "shop/video: it has the workers again that it should have"),
    ]


def test_an_error_that_every_tick_meets_is_told_once_and_its_end_too(
    written: io.StringIO,
) -> None:
    decisions = DecisionLog()
    for _ in range(3):
        try:
            raise ValueError("no such field")
        except ValueError as exc:
            decisions.failed("shop/video", 0.0, exc)
    decisions.add(status(5, 5))

    failure, end = lines(written)

    assert failure["level"] == "error"
    assert failure["taskqueue"] == "video"
    assert "no such field" in failure["message"]
    assert "Traceback" in failure["exception"]
    assert end["message"] == "shop/video: its ticks go well again, after 3 errors"


def test_a_fleet_that_was_deleted_and_made_anew_begins_anew(written: io.StringIO) -> None:
    decisions = DecisionLog()
    decisions.add(status(0, 5))
    decisions.drop("shop/video")
    decisions.add(status(0, 5))

    assert len(lines(written)) == 2


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("redis://:s3cret@redis:6379/0", "redis://:***@redis:6379/0"),
        ("rediss://app:s3/c?ret@redis/0 is down", "rediss://app:***@redis/0 is down"),
        ("sentinel://:s3@a:1;sentinel://b:1/0", "sentinel://:***@a:1;sentinel://b:1/0"),
        ("Authorization: Bearer eyJhbGci.x-y_z", "Authorization: Bearer ***"),
        ("redis://redis/0?password=s3cret&db=1", "redis://redis/0?password=***&db=1"),
        ("redis://app@redis:6379/0", "redis://app@redis:6379/0"),
        ("https://10.0.0.1:6443/apis: refused", "https://10.0.0.1:6443/apis: refused"),
    ],
)
def test_passwords_are_taken_out_and_addresses_stay(text: str, safe: str) -> None:
    assert without_secrets(text) == safe


@pytest.mark.parametrize("chosen", LogFormat)
def test_an_exception_s_own_text_cannot_leak_a_password(chosen: LogFormat) -> None:
    stream = io.StringIO()
    set_up_logging(chosen, stream=stream)
    try:
        raise OSError("cannot connect to redis://:s3cret@redis:6379/0")
    except OSError:
        logging.getLogger("somebody.else").exception("at redis://:s3cret@redis:6379/0")

    assert "s3cret" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


def test_a_line_of_json_is_one_line_whatever_it_says(written: io.StringIO) -> None:
    logging.getLogger("a").warning("two\nlines", extra={"reason": object()})

    (line,) = lines(written)

    assert line["message"] == "two\nlines"


def test_text_has_the_time_the_level_and_the_logger() -> None:
    stream = io.StringIO()
    set_up_logging(LogFormat.TEXT, stream=stream)
    logging.getLogger("sluiceway.kube.leader").info("%s leads", "pod-1")

    time, rest = stream.getvalue().rstrip().split(" ", 1)

    assert time.endswith("Z")
    assert rest == "INFO    sluiceway.kube.leader: pod-1 leads"


def test_libraries_are_heard_only_when_something_is_wrong() -> None:
    program = (
        "import logging\n"
        "from sluiceway.report.logs import *\n"
        "set_up_logging(LogFormat.TEXT)\n"
        "for name in ('kopf.objects', 'aiohttp.access', 'asyncio', 'sluiceway'):\n"
        "    logging.getLogger(name).info('progress')\n"
        "    logging.getLogger(name).warning('trouble')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    heard = [line.split(" ", 1)[1] for line in told.stderr.splitlines()]
    assert [line for line in heard if line.startswith("INFO")] == ["INFO    sluiceway: progress"]
    assert len(heard) == 5

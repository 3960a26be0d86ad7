"""What a worker says of each task name stays true, and stays small."""

from __future__ import annotations

import pytest

from sluiceway_worker.heartbeat import Heartbeat, RunningTask, TaskWork
from sluiceway_worker.ledger import Ledger, Outcome
from sluiceway_worker.wire import BOUNDS_S, MAX_EXCEPTIONS, MAX_RUNNING_TOLD, MAX_TASK_NAMES
from sluiceway_worker.work import exception_of


def heartbeat(**members: object) -> Heartbeat:
    given = {"incarnation": "a:1", "name": "a", "fleet": "shop/exports", "queues": ["exports"]}
    return Heartbeat(**{**given, "state": "consuming", "slots": 2, **members})  # type: ignore[arg-type]


def test_runs_are_told_by_queue_name_and_outcome_and_failures_by_their_exception() -> None:
    ledger = Ledger()
    for run, (outcome, exception) in enumerate(
        [
            (Outcome.DONE, ""),
            (Outcome.DONE, ""),
            (Outcome.FAILED, "KeyError"),
            (Outcome.RETRIED, "Retry"),
            (Outcome.REJECTED, "Reject"),
            (Outcome.IGNORED, "Ignore"),
        ]
    ):
        ledger.started(run, "shop.pdf", 0.0, None, "exports")
        ledger.ended(run, outcome, 2.0, exception)
    (work,) = ledger.read(2.0).work
    assert (work.queue, work.name) == ("exports", "shop.pdf")
    assert (work.started, work.succeeded, work.retried, work.rejected) == (6, 2, 1, 1)
    assert work.failed == {"KeyError": 1}
    assert work.run_sum_s == 12.0
    assert sum(work.runs) == 6


def test_a_time_lands_in_the_first_bucket_whose_bound_it_does_not_exceed() -> None:
    ledger = Ledger()
    for run, took_s in enumerate([0.005, BOUNDS_S[0], 0.02, BOUNDS_S[-1] + 1]):
        ledger.started(run, "t", 0.0, took_s, "q")
        ledger.ended(run, Outcome.DONE, took_s)
    (work,) = ledger.read(0.0).work
    expected = [2, 1, *[0] * (len(BOUNDS_S) - 2), 1]
    assert work.runs == expected
    assert work.waits == expected
    assert work.wait_sum_s == pytest.approx(0.035 + BOUNDS_S[-1] + 1)


def test_names_and_exceptions_without_end_are_summed_and_none_is_lost() -> None:
    ledger = Ledger()
    count = 3 * MAX_TASK_NAMES
    for run in range(count):
        ledger.started(run, f"task-{run}", 0.0, None, "q")
        ledger.ended(run, Outcome.FAILED, 1.0, f"Error{run}")
    work = ledger.read(1.0).work
    assert len(work) == MAX_TASK_NAMES + 1
    assert sum(one.started for one in work) == count
    told = [name for one in work for name in one.failed]
    assert len(set(told)) <= MAX_EXCEPTIONS + 1
    assert sum(sum(one.failed.values()) for one in work) == count


def test_what_has_run_longest_is_told_first_and_only_so_much_of_it() -> None:
    ledger = Ledger()
    for run in range(2 * MAX_RUNNING_TOLD):
        ledger.started(run, f"task-{run}", float(run), None, "q")
    running = ledger.read(100.0).running
    assert len(running) == MAX_RUNNING_TOLD
    assert running[0] == RunningTask(queue="q", name="task-0", for_s=100.0)


def test_a_heartbeat_brings_it_over_as_it_is() -> None:
    work = TaskWork(
        queue="q", name="t", started=3, succeeded=1, failed={"KeyError": 2}, runs=[0, 3], waits=[1]
    )
    beat = heartbeat(work=[work], running=[RunningTask(queue="q", name="t", for_s=1.5)])
    assert Heartbeat.from_json(beat.to_json()) == beat


def test_an_older_workers_heartbeat_says_nothing_of_it() -> None:
    older = heartbeat().to_json().replace('"work":[],', "").replace('"running":[],', "")
    assert 'running":' not in older
    assert Heartbeat.from_json(older).work == []


class _Einfo:
    def __init__(self, exception: BaseException) -> None:
        self.exception = exception


class _UnpicklableError(Exception):
    exc_cls_name = "SmtpError"


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (((0, "a result", 0.1),), ""),
        (((1, _Einfo(KeyError("x")), 0.1),), "KeyError"),
        ((_Einfo(ValueError("x")),), "ValueError"),
        ((_Einfo(_UnpicklableError()),), "SmtpError"),
        ((False, 30), "TimeLimitExceeded"),
    ],
)
def test_a_failure_is_known_by_its_class(args: tuple[object, ...], name: str) -> None:
    assert exception_of(args) == name

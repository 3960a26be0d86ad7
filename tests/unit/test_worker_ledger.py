"""The worker's counting of runs: a timeline with a clock of our own."""

from __future__ import annotations

import pytest

from sluiceway_worker.heartbeat import TaskTimes
from sluiceway_worker.ledger import Ledger, Outcome
from sluiceway_worker.wire import MAX_TASK_NAMES


def test_a_fresh_ledger_says_that_nothing_runs_and_nothing_is_known_of_it() -> None:
    counts = Ledger().read(now=5.0)
    assert (counts.active, counts.running_for_s) == (0, None)
    assert (counts.processed, counts.waits, counts.tasks) == (0, 0, {})


def test_the_oldest_run_decides_how_long_something_has_been_running() -> None:
    ledger = Ledger()
    ledger.started("a", "t", 10.0, None)
    ledger.started("b", "t", 12.0, None)
    assert ledger.read(now=15.0).running_for_s == 5.0
    ledger.ended("a", Outcome.DONE, 15.0)
    assert ledger.read(now=15.0).running_for_s == 3.0
    ledger.ended("b", Outcome.DONE, 15.0)
    assert ledger.read(now=15.0).running_for_s is None


def test_run_times_are_summed_by_task_name() -> None:
    ledger = Ledger()
    for run, name, took in ((1, "x", 2.0), (2, "x", 3.0), (3, "y", 0.5)):
        ledger.started(run, name, 0.0, None)
        ledger.ended(run, Outcome.DONE, took)
    assert ledger.read(now=9.0).tasks == {
        "x": TaskTimes(count=2, sum_s=5.0, sumsq_s2=13.0),
        "y": TaskTimes(count=1, sum_s=0.5, sumsq_s2=0.25),
    }


@pytest.mark.parametrize(
    ("outcome", "failed", "retried"),
    [(Outcome.DONE, 0, 0), (Outcome.FAILED, 1, 0), (Outcome.RETRIED, 0, 1)],
    ids=lambda value: str(value),
)
def test_every_end_is_processed_and_some_are_more(
    outcome: Outcome, failed: int, retried: int
) -> None:
    ledger = Ledger()
    ledger.started("a", "t", 0.0, None)
    ledger.ended("a", outcome, 1.0)
    counts = ledger.read(now=2.0)
    assert (counts.processed, counts.failed, counts.retried) == (1, failed, retried)


def test_an_end_that_is_told_twice_counts_once() -> None:
    ledger = Ledger()
    ledger.started("a", "t", 0.0, None)
    ledger.ended("a", Outcome.FAILED, 1.0)
    ledger.ended("a", Outcome.FAILED, 2.0)
    counts = ledger.read(now=3.0)
    assert (counts.processed, counts.failed) == (1, 1)
    assert counts.tasks["t"].sum_s == 1.0


def test_a_wait_is_known_only_of_stamped_messages_and_never_negative() -> None:
    ledger = Ledger()
    for run, waited in enumerate((4.0, None, -2.0)):
        ledger.started(run, "t", 0.0, waited)
    counts = ledger.read(now=0.0)
    assert (counts.waits, counts.wait_sum_s) == (2, 4.0)


def test_names_beyond_the_limit_are_summed_together() -> None:
    ledger = Ledger()
    for n in range(MAX_TASK_NAMES + 10):
        ledger.started(n, f"task-{n}", 0.0, None)
        ledger.ended(n, Outcome.DONE, 1.0)
    tasks = ledger.read(now=1.0).tasks
    assert len(tasks) == MAX_TASK_NAMES + 1
    assert tasks[""].count == 10

"""A fleet's counts only rise, as its workers come and go; what each did is counted once."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.report.tally import MAX_EXCEPTIONS, MAX_SERIES, Tally
from sluiceway.report.work import FleetWork
from sluiceway_worker.heartbeat import TaskWork
from sluiceway_worker.wire import BOUNDS_S

PDF = ("exports", "pdf")


def did(name: str = "pdf", **counts: Any) -> TaskWork:
    return TaskWork(queue="exports", name=name, **counts)


def heard(tally: Tally, at: float, **workers: list[TaskWork]) -> None:
    tally.add(FleetWork(done=workers), at)


def test_what_several_workers_did_is_summed_and_heard_again_it_is_not_counted_again() -> None:
    tally = Tally()
    for at in (0.0, 2.0, 4.0):
        heard(tally, at, a=[did(succeeded=3)], b=[did(succeeded=2, failed={"KeyError": 1})])
    assert tally.sums[PDF].succeeded == 5
    assert tally.sums[PDF].failed == {"KeyError": 1}


def test_a_worker_that_goes_leaves_its_counts_and_its_successor_adds_to_them() -> None:
    tally = Tally()
    heard(tally, 0.0, first=[did(started=10, run_sum_s=5.0)])
    heard(tally, 2.0)
    assert tally.sums[PDF].started == 10
    heard(tally, 4.0, second=[did(started=1, run_sum_s=0.5)])
    heard(tally, 6.0, second=[did(started=4, run_sum_s=2.0)])
    assert tally.sums[PDF].started == 14
    assert tally.sums[PDF].run_sum_s == pytest.approx(7.0)


def test_a_worker_that_is_silent_for_minutes_is_not_counted_anew() -> None:
    tally = Tally()
    heard(tally, 0.0, a=[did(started=10)])
    for at in (100.0, 200.0, 300.0):
        heard(tally, at)
    heard(tally, 400.0, a=[did(started=11)])
    assert tally.sums[PDF].started == 11


def test_a_worker_that_idles_for_hours_is_still_known_when_it_works_again() -> None:
    tally = Tally()
    as_it_was = [did(started=10)]
    for at in range(0, 7_200, 60):
        heard(tally, float(at), a=as_it_was)
    heard(tally, 7_200.0, a=[did(started=11)])
    assert tally.sums[PDF].started == 11


def test_buckets_grow_each_by_itself() -> None:
    tally = Tally()
    heard(tally, 0.0, a=[did(runs=[1, 2])])
    heard(tally, 1.0, a=[did(runs=[1, 3, 1])], b=[did(runs=[1])])
    assert tally.sums[PDF].runs[:4] == [2, 3, 1, 0]
    assert len(tally.sums[PDF].runs) == len(BOUNDS_S) + 1


def test_series_are_bounded_and_nothing_is_lost() -> None:
    tally = Tally()
    count = 2 * MAX_SERIES
    for worker in range(count):
        done = did(f"task-{worker}", started=1, failed={f"Error{worker}": 1})
        heard(tally, float(worker), **{f"w{worker}": [done]})
    assert len(tally.sums) == MAX_SERIES + 1
    assert sum(sums.started for sums in tally.sums.values()) == count
    assert sum(sum(sums.failed.values()) for sums in tally.sums.values()) == count
    names = {name for sums in tally.sums.values() for name in sums.failed}
    assert len(names) <= MAX_EXCEPTIONS + 1


def test_workers_that_went_long_ago_are_forgotten() -> None:
    tally = Tally()
    for worker in range(1_000):
        heard(tally, 60.0 * worker, **{f"w{worker}": [did(started=1)]})
    assert len(tally._workers) < 20
    assert tally.sums[PDF].started == 1_000

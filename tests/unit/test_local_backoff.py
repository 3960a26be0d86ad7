"""How long a fleet waits before it starts a worker again that ended by itself."""

from __future__ import annotations

from sluiceway.local.backoff import LONGEST_S, RAN_WELL_S, Backoff


def failures(count: int, *, ran_s: float = 1.0) -> list[float]:
    """The waits after each of ``count`` workers in a row that ended after ``ran_s``."""
    backoff, now, waits = Backoff(), 1_000.0, []
    for _ in range(count):
        started_at = max(now, backoff.until)
        now = started_at + ran_s
        backoff = backoff.after_exit(started_at=started_at, now=now)
        waits.append(backoff.until - now)
    return waits


def test_each_failure_in_a_row_waits_twice_as_long_as_the_one_before() -> None:
    assert failures(5) == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_the_wait_grows_to_a_minute_and_no_further() -> None:
    assert set(failures(40)[6:]) == {LONGEST_S}


def test_a_worker_that_ran_well_is_replaced_at_once_and_the_count_begins_anew() -> None:
    failed = Backoff(failures=9, failed_at=1_000.0, until=1_060.0)

    well = failed.after_exit(started_at=1_060.0, now=1_060.0 + RAN_WELL_S)

    assert well.until == 1_060.0 + RAN_WELL_S
    assert well.after_exit(started_at=2_000.0, now=2_001.0).until == 2_001.0 + 2.0


def test_workers_that_were_started_together_and_fail_together_are_one_failure() -> None:
    first = Backoff().after_exit(started_at=1_000.0, now=1_001.0)

    second = first.after_exit(started_at=1_000.1, now=1_001.2)

    assert second == first

"""The API server is asked so often at most, whatever there is to do."""

from __future__ import annotations

from sluiceway.kube.rate import Rate


def test_a_burst_goes_at_once_and_what_is_beyond_it_at_the_rate() -> None:
    rate = Rate(10.0, 3)
    assert [rate.take(100.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.1, 0.2]


def test_places_come_back_with_time_and_never_more_than_a_burst() -> None:
    rate = Rate(10.0, 2)
    for _ in range(4):
        rate.take(0.0)
    assert rate.take(1.0) == 0.0
    assert [rate.take(1_000.0) for _ in range(3)] == [0.0, 0.0, 0.1]

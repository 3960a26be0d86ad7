"""The terms of the rule for a wait target, each in numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.decide.arrivals import Stretch, ages, rate_per_s, with_news
from sluiceway.decide.estimate import Learned
from sluiceway.decide.history import History
from sluiceway.decide.slots import Fleet, Needed, Runs, needed
from tests.unit.demands import demand

NOW = 1000.0


def terms(
    waiting: int = 0,
    *,
    run_s: float = 1.0,
    deviation_s: float = 0.0,
    rate: float = 0.0,
    usual: float = 0.0,
    cold_start_s: float = 5.0,
    starting_s: float = 0.0,
    current: int | None = None,
    arrivals: tuple[Stretch, ...] = (),
    **fields: Any,
) -> Needed:
    """A target of 30 s: messages are let wait for 0.6 × (30 s - 5 s) = 15 s, lead is 7 s."""
    demanded = demand(waiting, **fields)
    return needed(
        demanded,
        History(learned=Learned(arrivals=arrivals)),
        Runs(mean_s=run_s, deviation_s=deviation_s),
        Fleet(
            current=demanded.present if current is None else current,
            slots=1,
            cold_start_s=cold_start_s,
            starting_s=starting_s,
        ),
        wait_s=30.0,
        rate_per_s=rate,
        usual_per_s=usual,
        window_s=30.0,
        now=NOW,
    )


def test_what_waits_is_worked_off_in_order_before_its_time_is_up() -> None:
    assert terms(110).in_order == pytest.approx(110 / (15 + 7))


def test_what_will_have_come_until_a_new_worker_is_there_is_counted_too() -> None:
    # 4 a second, of which 30 / 30 still wait: 3 × 7 s more
    assert terms(30, rate=4.0).in_order == pytest.approx((30 + 21) / 22)


def test_a_steady_stream_is_let_wait_for_its_part_of_the_target_and_no_longer() -> None:
    # 10 a second of 1 s each have their 10 slots where 18 s of them wait, 0.6 of the target.
    settled = {"rate": 10.0, "present": 10, "present_slots": 10, "in_flight": 10}
    assert terms(182, **settled).in_order == pytest.approx(10.0, rel=0.01)
    assert terms(150, **settled).together < 10
    assert terms(210, **settled).together > 10


def test_what_goes_on_arriving_keeps_most_of_its_slots_though_nothing_waits() -> None:
    assert terms(usual=10.0, run_s=2.0).together == pytest.approx(0.8 * 20)


def test_a_burst_has_the_time_that_is_left_after_a_second_and_the_cold_start() -> None:
    assert terms(120, oldest_wait_s=4.0).in_time == pytest.approx(120 / (30 - 4 - 1 - 5))


def test_workers_that_are_there_have_the_cold_start_more() -> None:
    # 3 do 3 × 29 s, the other 24 s are for one that has 24 s
    there = terms(111, present=3, present_slots=3)
    assert there.in_time == pytest.approx(4.0)


def test_workers_on_their_way_have_what_is_left_of_their_start_less() -> None:
    # 4 that are there in 2 s do 4 × 27 s
    assert terms(108, current=4, starting_s=2.0).in_time == pytest.approx(4.0)


def test_each_message_has_the_time_that_is_left_to_it() -> None:
    # 20 have waited for 20 s, the other 100 came within the last 2 s.
    young = (Stretch(since=NOW - 2, until=NOW, number=100),)
    apart = terms(120, oldest_wait_s=20.0, arrivals=young)
    assert apart.in_time == pytest.approx(max(20 / 4, 120 / 22))
    assert terms(120, oldest_wait_s=20.0).in_time == pytest.approx(120 / 4)


def test_late_messages_are_cleared_in_a_tenth_of_the_target() -> None:
    assert terms(60, oldest_wait_s=500.0).in_time == pytest.approx(60 / 3)


def test_new_workers_are_given_half_of_their_start_to_be_worth_it() -> None:
    assert terms(60, cold_start_s=90.0).in_time == pytest.approx(60 / 45)


def test_where_run_times_vary_a_slot_is_free_sooner_and_a_deviation_is_added() -> None:
    # Exponential: 100 × 4 s and 4 s × 10, in 24 s + 4 s
    assert terms(100, run_s=4.0, deviation_s=4.0).in_time == pytest.approx(440 / 28)


def test_a_run_longer_than_its_share_of_the_target_holds_its_slot() -> None:
    long_one = terms(1, running_for_s=(600.0,), in_flight=1, present=1, present_slots=1)
    assert long_one.overrunning == 1
    assert long_one.together == pytest.approx(1 + long_one.in_order)


def test_arrivals_are_counted_over_the_last_window_however_one_looks() -> None:
    stretches: tuple[Stretch, ...] = ()
    for second in range(200):
        stretches = with_news(stretches, since=second, until=second + 1.0, came=3, window_s=40.0)
    assert rate_per_s(stretches, 200.0, 40.0) == pytest.approx(3.0)
    assert rate_per_s(stretches, 220.0, 40.0) == pytest.approx(1.5)
    assert len(stretches) <= 10


def test_the_messages_that_wait_are_the_last_that_came() -> None:
    came = (
        Stretch(since=970.0, until=975.0, number=50),
        Stretch(since=990.0, until=995.0, number=-2),
        Stretch(since=995.0, until=1000.0, number=10),
    )
    assert ages(came, waiting=30, oldest_wait_s=28.0, now=NOW) == [(20, 28.0), (10, 5.0)]
    assert ages(came, waiting=5, oldest_wait_s=28.0, now=NOW) == [(1, 28.0), (4, 5.0)]
    assert ages((), waiting=5, oldest_wait_s=28.0, now=NOW) == [(5, 28.0)]

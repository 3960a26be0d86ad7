"""The rule in numbers that can be checked by hand, and its shape."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluiceway.api.scaling import Scaling, Target
from sluiceway.decide.demand import Demand
from sluiceway.decide.estimate import Learned, RunStats
from sluiceway.decide.history import History
from sluiceway.decide.recommend import Recommendation, rate_window_s, recommend
from tests.unit.demands import demand

NOW = 1000.0


def asked(
    demanded: Demand,
    *,
    run_s: float | None,
    rate: float = 0.0,
    cold_start_s: float = 5.0,
    current: int = 0,
    slots: int = 1,
    max_wait: float = 30.0,
    came_at: float | None = None,
    **history: Any,
) -> Recommendation:
    times = {} if run_s is None else {"t": RunStats(runs=100, sum_s=100 * run_s)}
    learned = Learned(
        rate_per_s=rate,
        usual_per_s=rate,
        came_at=came_at,
        run_times=times,
        cold_start_s=cold_start_s,
    )
    return recommend(
        Scaling.model_validate({"target": {"max_wait": max_wait}}),
        demanded,
        History(learned=learned, **history),
        current=current,
        slots=slots,
        now=NOW,
    )


def slots_for(demanded: Demand, **fields: Any) -> float:
    return asked(demanded, **fields).amount


def test_no_task_is_asked_to_take_two_slots() -> None:
    assert slots_for(demand(7, oldest_wait_s=500.0), run_s=3600.0) == pytest.approx(7.0)


def test_running_tasks_keep_their_slots_when_nothing_more_arrives() -> None:
    busy = demand(in_flight=6, in_flight_bound=6, present=9, present_slots=9)
    assert asked(busy, run_s=600.0, current=9).replicas == 6


def test_where_nothing_waits_nobody_is_started() -> None:
    busy = demand(in_flight=9, in_flight_bound=9, present=1, present_slots=4)
    assert asked(busy, run_s=60.0, rate=100.0, current=1, slots=4).replicas == 1


def test_a_rate_fades_as_soon_as_nothing_comes_any_more() -> None:
    idle = demand(present=50, present_slots=50)
    sizes = [
        asked(idle, run_s=1.0, rate=40.0, current=50, came_at=NOW - silent_s).replicas
        for silent_s in (0.05, 0.5, 1.0, 2.0)
    ]
    assert sizes == [32, 5, 3, 2]


def test_the_rate_is_that_of_the_last_target_and_never_of_a_moment() -> None:
    assert rate_window_s(Scaling().target) == 30.0
    assert rate_window_s(Target(max_wait=5.0)) == 20.0
    assert rate_window_s(Target(backlog_per_replica=5)) == 20.0


def test_what_runs_takes_its_slot_only_for_what_it_has_left() -> None:
    # 20 × 10 s to be done; 10 slots are free again in 1 s, and not only in 10 s.
    just_begun, nearly_done = (
        demand(
            20,
            in_flight=10,
            in_flight_bound=10,
            present=10,
            present_slots=10,
            running_for_s=(ran,) * 10,
        )
        for ran in (0.0, 9.0)
    )
    assert slots_for(nearly_done, run_s=10.0, current=10) == pytest.approx((10 + 200) / 22)
    assert slots_for(just_begun, run_s=10.0, current=10) == pytest.approx((100 + 200) / 22)


def test_a_long_run_keeps_its_slot_and_asks_for_no_other() -> None:
    # One run in a hundred takes an hour, the others 1 s: 2 a second keep two slots busy.
    runs = RunStats(runs=100, sum_s=3699.0, beyond_s=3570.0)
    history = History(
        learned=Learned(rate_per_s=2.0, usual_per_s=2.0, run_times={"t": runs}, cold_start_s=5.0),
    )
    long_one = demand(
        1, in_flight=3, in_flight_bound=3, present=4, present_slots=4, running_for_s=(600.0,)
    )
    asked_for = recommend(Scaling(), long_one, history, current=4, slots=1, now=NOW)
    assert asked_for.replicas == 4


def test_a_trickle_beside_a_long_run_keeps_no_second_worker() -> None:
    alone = demand(
        in_flight=1, in_flight_bound=1, present=2, present_slots=2, running_for_s=(600.0,)
    )
    assert asked(alone, run_s=1.0, rate=0.01, current=2).replicas == 1


def test_a_run_learned_under_a_longer_target_counts_with_this_one_at_most() -> None:
    assert slots_for(demand(7), run_s=3600.0) == pytest.approx(7.0)


def test_the_bound_on_unknown_tasks_doubles_only_when_the_last_ones_have_come() -> None:
    def bound(current: int, present: int, raised_s_ago: float) -> int:
        return asked(
            demand(900, present=present, present_slots=present),
            run_s=None,
            current=current,
            raised_at=NOW - raised_s_ago,
        ).replicas

    assert bound(0, 0, 1e9) == 4
    assert bound(4, 4, 2.0) == 4
    assert bound(4, 3, 60.0) == 4
    assert bound(4, 4, 6.0) == 8


@given(
    st.integers(0, 500),
    st.integers(0, 50),
    st.floats(0.001, 1000),
    st.floats(0, 50),
    st.floats(0, 100),
    st.integers(0, 40),
    st.integers(1, 8),
)
def test_each_message_more_and_each_second_waited_asks_for_as_many_or_more(
    waiting: int,
    in_flight: int,
    run_s: float,
    rate: float,
    oldest_s: float,
    current: int,
    slots: int,
) -> None:
    def replicas(more: int, later_s: float) -> int:
        return asked(
            demand(
                waiting + more,
                in_flight=in_flight,
                in_flight_bound=in_flight,
                oldest_wait_s=oldest_s + later_s,
                present=current,
                present_slots=current * slots,
            ),
            run_s=run_s,
            rate=rate,
            current=current,
            slots=slots,
        ).replicas

    assert replicas(1, 0.0) >= replicas(0, 0.0)
    assert replicas(50, 0.0) >= replicas(1, 0.0)
    assert replicas(0, 10.0) >= replicas(0, 0.0)

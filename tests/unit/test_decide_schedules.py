"""Schedule floors, also in the nights in which the clocks change."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from sluiceway.api.scaling import Schedule
from sluiceway.decide.schedules import floor_at, occurrences

HOUR = 3600.0


def schedule(cron: str = "0 2 * * *", timezone: str = "Europe/Paris", **fields: float) -> Schedule:
    given = {"duration": 2 * HOUR, "min_replicas": 5} | fields
    return Schedule.model_validate({"cron": cron, "timezone": timezone} | given)


def at(text: str, timezone: str = "Europe/Paris", *, second_time: bool = False) -> float:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone), fold=int(second_time))
    return local.timestamp()


@pytest.mark.parametrize(
    ("moment", "replicas"),
    [
        pytest.param(at("2026-06-01 01:59:59"), 0, id="a second before it begins"),
        pytest.param(at("2026-06-01 02:00:00"), 5, id="when it begins"),
        pytest.param(at("2026-06-01 03:59:59"), 5, id="a second before it ends"),
        pytest.param(at("2026-06-01 04:00:00"), 0, id="when it ends"),
        pytest.param(at("2026-06-01 02:00:00", "UTC"), 0, id="the hour in another zone"),
    ],
)
def test_a_schedule_holds_from_its_occurrence_until_its_duration_is_over(
    moment: float, replicas: int
) -> None:
    assert floor_at([schedule()], moment).replicas == replicas


def test_the_highest_of_several_active_schedules_counts() -> None:
    low, high = schedule(min_replicas=2), schedule("0 3 * * *", min_replicas=7)
    floor = floor_at([low, high], at("2026-06-01 03:30"))
    assert (floor.replicas, floor.schedule) == (7, high)
    assert floor.until == at("2026-06-01 05:00")
    assert floor.next_edge == at("2026-06-01 04:00")  # where the other one ends


def test_without_a_schedule_there_is_no_floor_and_no_edge() -> None:
    floor = floor_at([], at("2026-06-01 03:30"))
    assert (floor.replicas, floor.schedule, floor.next_edge) == (0, None, None)


def test_overlapping_occurrences_of_one_schedule_hold_without_a_gap() -> None:
    each_ten_minutes = schedule("*/10 * * * *", duration=900.0)
    for minute in range(60):
        assert floor_at([each_ten_minutes], at("2026-06-01 12:00") + 60 * minute).replicas == 5


SPRING, AUTUMN = "2026-03-29", "2026-10-25"  # 02:00 becomes 03:00; 03:00 becomes 02:00


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        pytest.param(
            at(f"{SPRING} 01:59"), at("2026-03-28 02:30"), at(f"{SPRING} 03:00"),
            id="in spring the skipped half past two is moved to three",
        ),
        pytest.param(
            at(f"{SPRING} 03:10"), at(f"{SPRING} 03:00"), at("2026-03-30 02:30"),
            id="and from then on the day is an ordinary one",
        ),
        pytest.param(
            at(f"{AUTUMN} 02:15"), at("2026-10-24 02:30"), at(f"{AUTUMN} 02:30"),
            id="in autumn the first half past two is the one",
        ),
        pytest.param(
            at(f"{AUTUMN} 02:15", second_time=True), at(f"{AUTUMN} 02:30"), at("2026-10-26 02:30"),
            id="in the repeated hour it has begun already",
        ),
        pytest.param(
            at(f"{AUTUMN} 02:45", second_time=True), at(f"{AUTUMN} 02:30"), at("2026-10-26 02:30"),
            id="the second half past two is none",
        ),
    ],
)  # fmt: skip
def test_an_occurrence_happens_once_in_a_night_of_changed_clocks(
    now: float, last: float, following: float
) -> None:
    assert occurrences(schedule("30 2 * * *"), now) == (last, following)


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_two_hours_are_two_real_hours_in_any_night(day: str) -> None:
    midnight = schedule("0 0 * * *", duration=4 * HOUR)
    begun = at(f"{day} 00:00")
    assert floor_at([midnight], begun + 4 * HOUR - 1).replicas == 5
    assert floor_at([midnight], begun + 4 * HOUR).replicas == 0


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_looking_at_each_minute_of_the_night_finds_an_unbroken_story(day: str) -> None:
    """Each next occurrence, once reached, is the last one; none is lost or repeated."""
    for cron in ("30 2 * * *", "*/20 * * * *", "0 */3 * * *"):
        now = at(f"{day} 00:00")
        last, following = occurrences(schedule(cron), now)
        for _ in range(6 * 60):
            now += 60
            then_last, then_following = occurrences(schedule(cron), now)
            assert following is not None
            if now < following:
                assert (then_last, then_following) == (last, following)
            else:
                assert then_last == following == now
            last, following = then_last, then_following


def test_the_floor_of_a_leap_day_is_found_from_years_away() -> None:
    leap = schedule("0 0 29 2 *")
    last, following = occurrences(leap, at("2026-06-01 00:00"))
    assert (last, following) == (at("2024-02-29 00:00"), at("2028-02-29 00:00"))

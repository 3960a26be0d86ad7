"""Durations and quantities: strict outside, exact inside."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluiceway.api.duration import format_duration, parse_duration
from sluiceway.api.quantity import parse_quantity
from sluiceway.api.taskqueue import Scaling, Target, Worker


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("500ms", 0.5),
        ("1h0m5s10ms", 3605.01),
        ("0s", 0.0),
        ("90m", 5400.0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "-5s", "+5s", "1.5h", "5 s", "5S", "5sec", "1d", "10m1h", "1s1s", "٣s", "5s\n"],
)
def test_a_text_of_another_form_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ValueError, match=r"write whole numbers with the units h, m, s, ms"):
        parse_duration(text)


@pytest.mark.parametrize("value", [30, 30.0, True, [], {}])
def test_a_bare_value_is_refused_where_users_write(value: object) -> None:
    with pytest.raises(ValueError, match="is not a duration above zero"):
        Target.from_outside({"maxWait": value})


def test_inside_the_program_durations_are_plain_seconds() -> None:
    assert Target(max_wait=30).max_wait == 30.0
    assert Worker(longest_task=7200).longest_task == 7200.0
    assert Scaling(cooldown_period="1m").cooldown_period == 60.0


@given(st.integers(min_value=0, max_value=999_999 * 3_600_000))
def test_a_duration_comes_back_from_its_outside_form(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (60, "1m"), (5400, "1h30m"), (7201.25, "2h1s250ms")],
)
def test_a_duration_is_written_in_its_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (4, Decimal(4)),
        ("0.1", Decimal("0.1")),
        ("500m", Decimal("0.5")),
        ("1Ki", Decimal(1024)),
        ("1.5Gi", Decimal("1610612736")),
        ("3M", Decimal("3000000")),
        ("2Ei", Decimal(2) * 1024**6),
    ],
)
def test_a_quantity_is_read_exactly(value: str | int, number: Decimal) -> None:
    assert parse_quantity(value) == number


@pytest.mark.parametrize("value", ["", "-1", -1, True, 0.5, "1GB", "1e3", "Gi", None])
def test_what_is_not_a_quantity_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(value)  # type: ignore[arg-type]

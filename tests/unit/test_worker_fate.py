"""What becomes of a message whose holder has died."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluiceway_worker.fate import Death, fate_of, forgiven

NOW = 1_764_000_000.0


def message(**headers: Any) -> bytes:
    body = {"headers": {"id": "i", "task": "t", **headers}, "properties": {"delivery_info": {}}}
    return json.dumps(body).encode()


def death(number: int = 1, **how: Any) -> Death:
    return Death(**{"incarnation": f"w:{number}", "at": NOW, "blamed": True, **how})


def after(deaths: int, raw: bytes, **how: Any) -> Any:
    """The fate that so many deaths in a row make."""
    fate = None
    for number in range(deaths):
        fate = fate_of(fate.message if fate else raw, death(number), **how)
    return fate


def headers(fate: Any) -> Any:
    return json.loads(fate.message)["headers"]


def test_before_the_last_death_it_is_a_suspect_and_then_it_is_dead() -> None:
    assert "sluiceway_suspect" not in headers(after(1, message()))
    assert headers(after(2, message()))["sluiceway_suspect"] is True
    assert [after(n, message()).dead for n in (1, 2, 3)] == [False, False, True]
    assert [death[2] for death in after(3, message()).deaths] == ["w:0", "w:1", "w:2"]


def test_where_one_delivery_is_allowed_the_first_death_is_the_last() -> None:
    assert after(1, message(), max_deliveries=1).dead


def test_more_deaths_than_are_remembered_one_by_one_still_count() -> None:
    assert not after(29, message(), max_deliveries=30).dead
    assert after(30, message(), max_deliveries=30).dead
    assert len(after(30, message(), max_deliveries=30).deaths) == 20


def test_a_released_letter_has_all_its_lives_again_and_its_history() -> None:
    released = forgiven(after(3, message()).message)
    assert json.loads(released)["headers"]["sluiceway_suspect"] is False
    assert [after(n, released).dead for n in (1, 2, 3)] == [False, False, True]
    assert len(after(3, released).deaths) == 6


@pytest.mark.parametrize(
    ("eta", "counts"),
    [
        ("2025-11-24T16:00:01+00:00", False),
        ("2025-11-24T16:00:01Z", False),
        ("2025-11-24T16:00:01", False),
        ("2025-11-24T17:59:59+02:00", True),
        ("2025-11-24T15:59:59+00:00", True),
        ("soon", True),
        (None, True),
        (5, True),
    ],
)
def test_what_was_held_for_later_has_no_part_in_a_death(eta: Any, counts: bool) -> None:
    fate = fate_of(message(eta=eta), death())
    assert (len(fate.deaths) == 1, fate.held_only) == (counts, not counts)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"[1]", b'{"headers": null}', b'{"body": 1}'],
)
def test_what_cannot_be_counted_in_is_never_dead_and_stays_as_it_is(raw: bytes) -> None:
    fate = fate_of(raw, death(), max_deliveries=1)
    assert (fate.message, fate.dead) == (raw, False)
    assert forgiven(raw) == raw


def test_headers_that_somebody_else_wrote_are_no_count() -> None:
    odd = message(sluiceway_deaths="many", sluiceway_forgiven="all", id=5, task=None)
    fate = fate_of(odd, death())
    assert (len(fate.deaths), fate.dead, fate.task_id, fate.task) == (1, False, "", "")

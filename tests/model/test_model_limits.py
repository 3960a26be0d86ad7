"""What no rule can mend is found too, by its name and with nothing else in its shadow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from protocol.checker import explore
from protocol.configurations import CONFIGURATIONS
from protocol.properties import (
    no_two_have_it,
    nothing_is_lost,
    nothing_is_lost_but_in_sockets,
    only_poison_dies,
)
from protocol.state import Mishaps


def test_kombus_take_loses_a_message_whose_worker_dies_with_the_reply_in_its_socket() -> None:
    found = explore(CONFIGURATIONS["today-crash"].world, [nothing_is_lost]).counterexample
    assert found is not None
    assert found.trace == (
        "worker 1 sends BRPOP",
        "the server pops message A and sends it to worker 1",
        "the main process of worker 1 dies",
    )
    assert found.wrong == "message A is lost: neither Redis nor a living worker has it"


def test_kombus_take_loses_a_message_whose_reply_is_lost_with_the_connection() -> None:
    found = explore(CONFIGURATIONS["today-cut"].world, [nothing_is_lost]).counterexample
    assert found is not None
    assert found.trace[-2:] == (
        "the server pops message A and sends it to worker 1",
        "worker 1 loses its connection to Redis",
    )


def test_that_window_is_all_that_kombus_take_loses() -> None:
    world = replace(CONFIGURATIONS["today-crash"].world, luck=Mishaps(crashes=1, cuts=1))
    world = replace(world, drains=False)
    assert explore(world, [nothing_is_lost_but_in_sockets]).counterexample is None


def test_the_atomic_take_closes_the_window_for_the_same_mishaps() -> None:
    assert explore(CONFIGURATIONS["take"].world, [nothing_is_lost]).counterexample is None


@pytest.mark.parametrize(
    ("configuration", "exception"),
    [
        ("today-crash", "the visibility timeout of message A passes, and kombu restores it"),
        ("beside", "the visibility timeout of message A passes, and kombu restores it"),
        ("death", "the operator recovers message A, which the silent one held"),
    ],
)
def test_two_have_a_message_only_after_a_timeout_passed_over_a_living_worker(
    configuration: str, exception: str
) -> None:
    """``no_two_have_it_by_our_doing`` holds there: it is this, and nothing else."""
    found = explore(CONFIGURATIONS[configuration].world, [no_two_have_it]).counterexample
    assert found is not None
    assert exception in found.trace


def test_a_renewing_worker_is_given_up_only_after_it_fell_silent() -> None:
    found = explore(CONFIGURATIONS["results"].world, [no_two_have_it]).counterexample
    assert found is not None
    assert "worker 1 freezes" in found.trace


def test_as_many_crashes_in_a_row_as_deliveries_are_allowed_end_even_a_harmless_message() -> None:
    """Nothing can tell it from poison: the last time it was alone in its worker."""
    enough = replace(CONFIGURATIONS["recovery"].world, luck=Mishaps(crashes=3))
    found = explore(enough, [only_poison_dies]).counterexample
    assert found is not None
    assert sum("the main process of" in step for step in found.trace) == 3

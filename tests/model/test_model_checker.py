"""The checker itself: it finds what it is asked for, by the shortest way, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from protocol import steps
from protocol.checker import TooManyStatesError, explore
from protocol.configurations import CONFIGURATIONS, LATER
from protocol.properties import Goal
from protocol.state import Message, State, key
from protocol.working import publishes
from protocol.world import World

ALONE = World(take="atomic", messages=(Message(),), workers=1)


def test_one_message_and_one_worker_have_five_states() -> None:
    """Waiting, reserved, running, finished, acknowledged."""
    found = explore(ALONE)
    assert (found.states, found.steps) == (5, 4)
    assert set(found.taken) == {"takes", "starts", "finishes", "acknowledges"}


def test_like_messages_are_told_apart_only_by_where_they_are() -> None:
    start = replace(ALONE, messages=(Message(), Message())).start
    first, second = start.messages
    elsewhere = first._replace(queued=0, parked=True)
    one_way = start._replace(messages=(elsewhere, second))
    other_way = start._replace(messages=(first, elsewhere))
    assert one_way != other_way
    assert key(one_way) == key(other_way)


def test_a_counterexample_is_as_short_as_any_and_keeps_calling_things_the_same() -> None:
    def nothing_is_acknowledged(world: World, s: State) -> str | None:
        return "one is" if any(m.acked for m in s.messages) else None

    world = replace(ALONE, messages=(Message(), Message()), workers=2)
    found = explore(world, [nothing_is_acknowledged]).counterexample
    assert str(found) == (
        "Broken: nothing is acknowledged\n"
        "  1. worker 1 takes message A\n"
        "  2. worker 1 starts message A\n"
        "  3. worker 1 finishes message A\n"
        "  4. worker 1 acknowledges message A\n"
        "     => one is"
    )


def test_a_goal_is_reached_by_the_steps_that_count_and_by_no_others() -> None:
    world = replace(ALONE, messages=(LATER,))

    def goal(*left_out: object) -> Goal:
        return Goal(
            name="it is acknowledged",
            applies=lambda world, s: True,
            reached=lambda world, s: s.messages[0].acked,
            by=frozenset(step for step in steps.MUST if step not in left_out),
        )

    assert explore(world, goals=[goal()]).counterexample is None
    dead_end = explore(world, goals=[goal(publishes)]).counterexample
    assert dead_end is not None
    assert dead_end.trace == ()


def test_a_world_that_is_too_large_is_said_to_be() -> None:
    with pytest.raises(TooManyStatesError, match="more than 100 states"):
        explore(CONFIGURATIONS["take"].world, at_most=100)

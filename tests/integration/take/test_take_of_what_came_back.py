"""What came back and is known to have succeeded is acknowledged when it is taken, not run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from sluiceway_worker import takes, wire


class Results:
    """A result backend that is asked, and remembers what."""

    def __init__(self, *succeeded: str) -> None:
        self.succeeded = set(succeeded)
        self.asked: list[tuple[str, float | None]] = []

    def __call__(self, task_id: str, published: float | None) -> bool:
        self.asked.append((task_id, published))
        return task_id in self.succeeded


def test_what_has_succeeded_is_acknowledged_and_the_next_one_is_taken_at_once(
    hand: Callable[..., Any], publish: Callable[..., bytes], client: redis.Redis
) -> None:
    results = Results("done")
    publish("done", came_back=True, **{wire.STAMP_HEADER: 12.5})
    publish("undone", came_back=True)
    a = hand("a", finished=results)
    assert a.take() == ["undone"]
    assert results.asked == [("done", 12.5), ("undone", None)]
    assert (client.hlen("unacked"), client.zcard("unacked_index"), len(a.taking.held)) == (1, 1, 1)
    assert client.hlen(wire.held_key("", a.identity.incarnation)) == 1


def test_of_what_was_never_delivered_before_nobody_is_asked(
    hand: Callable[..., Any], publish: Callable[..., bytes]
) -> None:
    results = Results("done")
    # A retry takes the headers of the message that came back along.
    publish("done", redelivered=True)
    assert hand("a", finished=results).take() == ["done"]
    assert results.asked == []


@pytest.mark.parametrize("headers", [{"group": "g", "group_index": 0}, {"id": None}])
def test_a_part_of_a_chord_and_what_has_no_id_are_run_again(
    headers: dict[str, Any], hand: Callable[..., Any], publish: Callable[..., bytes]
) -> None:
    results = Results("done")
    publish("done", came_back=True, **headers)
    a = hand("a", finished=results)
    a.take()
    assert (len(a.messages), results.asked) == (1, [])


def test_one_whose_acknowledgement_is_not_heard_goes_back_when_it_is_settled(
    hand: Callable[..., Any],
    publish: Callable[..., bytes],
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish("done", came_back=True)
    a = hand("a", finished=Results("done"))
    cut = takes.Script("return redis.error_reply('LOADING as if the connection were lost')")
    with monkeypatch.context() as broken:
        broken.setattr(takes, "ACKNOWLEDGE_TAKE", cut)
        with pytest.raises(redis.RedisError):
            a.take()
    assert (a.ids(), client.hlen("unacked")) == ([], 1)
    assert a.taking.square() == 1
    assert (client.llen("work"), client.hlen("unacked")) == (1, 0)
    assert a.look_and_take() == []
    assert (client.llen("work"), client.hlen("unacked")) == (0, 0)

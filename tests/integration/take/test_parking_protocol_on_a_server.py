"""Parking, played at random among everything else that may happen to a message.

Besides all that ``World`` plays: takers park what they hold, also what is not theirs any
more, also while nobody stands by, and more than once; anybody brings back what is due, or
everything, at any moment. A message is in exactly one place after every step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from sluiceway_worker import parked, parking, wire
from tests.integration.take.test_take_protocol_on_a_server import (
    DONE,
    NAMES,
    QUEUES,
    WAITING,
    WHICH,
    World,
    play,
)

PARKED = "parked"
FLEET = "shop/work"
ETAS = st.integers(1, 9)


class WorldThatParks(World):
    """``etas``: of the messages whose place is «parked»."""

    def __init__(self) -> None:
        super().__init__()
        self.etas: dict[str, int] = {}
        self.somebody_stands_by(True)
        self.parted: list[tuple[Any, Any]] = []
        """Messages that somebody held once, with the door that they came through."""

    @rule(does=st.sampled_from([True, True, False]))
    def it_is_said_again_whether_somebody_stands_by(self, does: bool) -> None:
        self.somebody_stands_by(does)

    def somebody_stands_by(self, does: bool) -> None:
        self.stood_by = does
        if does:
            self.client.set(wire.parking_key("", FLEET), "", px=600_000)
        else:
            self.client.delete(wire.parking_key("", FLEET))

    @rule(name=NAMES, which=WHICH, eta=ETAS, times=st.integers(1, 2))
    def parks(self, name: str, which: int, eta: int, times: int) -> None:
        hand = self.hands[name]
        if not hand.sure:
            self.settles(name)
        if not hand.messages:
            self.takes(name)
        if not hand.messages:
            return
        message = hand.messages[which % len(hand.messages)]
        self.is_parked(hand.taking, message, eta, times)
        if self.where[message.headers["id"]] == message.delivery_tag:
            return  # Nobody stands by: it is held on.
        hand.messages.remove(message)
        hand.taking.held.pop(message.delivery_tag, None)
        self.parted.append((hand.taking, message))

    @rule(which=WHICH, eta=ETAS)
    def the_one_on_kombus_take_parks(self, which: int, eta: int) -> None:
        if not self.plain.messages:
            self.the_plain_consumer_takes()
        if not self.plain.messages:
            return
        message = self.plain.messages[which % len(self.plain.messages)]
        held = self.where[message.headers["id"]] == message.delivery_tag
        score = self.client.zscore("unacked_index", message.delivery_tag)
        if not held or score is None:
            return
        args = [message.delivery_tag, score, score, *self.tail_of(message), eta, "?"]
        args[-1] = source = self.source_of(message)
        lists, bodies, _, registry = parked.keys_of("", source)
        keys = ["unacked", "unacked_index", "none", lists, bodies, registry]
        keys.append(wire.parking_key("", FLEET))
        late = [*args]
        late[1] = late[2] = score - 1
        answer = self.client.eval(parked.PARK, len(keys), *keys, *late)
        assert answer == (parked.NOT_MINE if self.stood_by else parked.STAYS)
        if self.client.eval(parked.PARK, len(keys), *keys, *args) == parked.PARKED:
            self.plain.messages.remove(message)
            self.leaves(message.delivery_tag, PARKED)
            self.etas[message.headers["id"]] = eta

    @precondition(lambda self: self.parted)
    @rule(which=WHICH, eta=ETAS)
    def what_was_parted_with_is_parked_and_given_back_once_more(self, which: int, eta: int) -> None:
        door, message = self.parted[which % len(self.parted)]
        with door.raw.pipeline(transaction=False) as pipe:
            door.give_back(pipe, message.sluiceway)
            pipe.execute()
        assert parking.park(door, FLEET, message, eta) != parked.PARKED

    @rule(until=ETAS, queue=st.sampled_from(QUEUES))
    def what_is_due_comes_back(self, until: int, queue: str) -> None:
        for source in wire.queue_keys("", queue):
            while parking.release(self.client, "", source, until):
                pass
        self.comes_back(lambda name: self.queue_of[name] == queue and self.etas[name] <= until)

    @rule()
    def all_of_it_comes_back(self) -> None:
        for queue in QUEUES:
            for source in wire.queue_keys("", queue):
                parking.release(self.client, "", source, float("inf"))
        self.comes_back(lambda name: True)

    @invariant()
    def every_message_is_where_it_must_be_and_nowhere_else(self) -> None:
        aside = self.parked_ones()
        assert aside == {m: self.etas[m] for m, at in self.where.items() if at == PARKED}
        try:
            for name in aside:
                self.where[name] = DONE
            super().every_message_is_where_it_must_be_and_nowhere_else()
        finally:
            self.where.update(dict.fromkeys(aside, PARKED))

    @invariant()
    def the_register_tells_the_first_of_each_list_and_names_no_other(self) -> None:
        told = dict(self.client.zrange(wire.parked_lists_key(""), 0, -1, withscores=True))
        first: dict[bytes, float] = {}
        for queue in QUEUES:
            for source in wire.queue_keys("", queue):
                scores = self.client.zrange(wire.parked_key("", source), 0, 0, withscores=True)
                first |= {source.encode(): score for _, score in scores}
        assert told == first

    def is_parked(self, door: Any, message: Any, eta: int, times: int) -> None:
        name, tag = message.headers["id"], message.delivery_tag
        mine = self.where[name] == tag
        for turn in range(times):
            answer = parking.park(door, FLEET, message, eta)
            wanted = parked.PARKED if mine and not turn else parked.NOT_MINE
            assert answer == (wanted if self.stood_by else parked.STAYS)
        if mine and self.stood_by:
            self.leaves(tag, PARKED)
            self.etas[name] = eta

    def parked_ones(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for queue in QUEUES:
            for source in wire.queue_keys("", queue):
                etas = dict(self.client.zrange(wire.parked_key("", source), 0, -1, withscores=True))
                bodies = self.client.hgetall(wire.parked_bodies_key("", source))
                assert etas.keys() == bodies.keys()
                for name, raw in bodies.items():
                    found[json.loads(raw)["headers"]["id"]] = etas[name]
        return found

    def comes_back(self, is_due: Callable[[str], bool]) -> None:
        for name, at in list(self.where.items()):
            if at == PARKED and is_due(name):
                self.where[name] = WAITING

    @property
    def queue_of(self) -> dict[str, str]:
        return {
            json.loads(raw)["headers"]["id"]: queue
            for queue in QUEUES
            for source in wire.queue_keys("", queue)
            for raw in [
                *self.client.hvals(wire.parked_bodies_key("", source)),
                *self.client.lrange(source, 0, -1),
            ]
        }

    def tail_of(self, message: Any) -> tuple[int, str]:
        value = self.client.hget("unacked", message.delivery_tag).decode()
        _, exchange, routing_key = json.loads(value)
        tail = f', "{exchange}", "{routing_key}"]'
        return len(tail), tail

    def source_of(self, message: Any) -> str:
        routing_key = message.delivery_info["routing_key"]
        step = message.properties.get("priority") or 0
        keys = dict(zip(wire.PRIORITY_STEPS, wire.queue_keys("", routing_key), strict=True))
        return keys[step]


@pytest.mark.timeout(1200)
def test_no_message_is_lost_doubled_or_parked_by_one_who_does_not_hold_it(
    hand: Callable[..., Any], client: redis.Redis, request: pytest.FixtureRequest
) -> None:
    play(WorldThatParks, hand, client, soak=request.config.getoption("--soak"))

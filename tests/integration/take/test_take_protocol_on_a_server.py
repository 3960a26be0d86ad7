"""The rules of the protocol, played at random against the real scripts on a real server.

Two takers that may die, lose the answer to whatever they ask, and be silent; a plain kombu
consumer beside them; the visibility timeout, at any moment; recoveries, at any moment and
more than once. After every step each message is where it must be, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sluiceway_worker import wire
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, recover, recovery

QUEUES = ("work", "more")
WAITING, DONE = "waiting", "done"
NAMES = st.sampled_from("ab")
WHICH = st.integers(0, 9)


class World(RuleBasedStateMachine):
    """``where``: each message's place: waiting, done, or the tag that it is held under."""

    client: redis.Redis
    hand: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.where: dict[str, str] = {}
        self.hands = {name: self.new(name) for name in "ab"}
        self.plain = self.hand("plain", *QUEUES, by_script=False, slots=0)
        self.dead: list[str] = []

    def new(self, name: str) -> Any:
        return self.hand(name, *QUEUES, slots=2)

    @initialize(many=st.integers(3, 6))
    def begins(self, many: int) -> None:
        for number in range(many):
            self.publish(QUEUES[number % 2], wire.PRIORITY_STEPS[number % 3])

    @rule(queue=st.sampled_from(QUEUES), step=st.sampled_from(wire.PRIORITY_STEPS))
    def publish(self, queue: str, step: int) -> None:
        name = f"m{len(self.where)}"
        keys = dict(zip(wire.PRIORITY_STEPS, wire.queue_keys("", queue), strict=True))
        tag = {"delivery_tag": name, "delivery_info": {"exchange": "", "routing_key": queue}}
        body = {
            "body": "e30=",
            "headers": {"id": name, "empty": []},
            "properties": {**tag, "priority": step},
        }
        self.client.lpush(keys[step], json.dumps(body))
        self.where[name] = WAITING

    @rule(name=NAMES)
    def takes(self, name: str) -> None:
        self.takes_perhaps(name, answered=True)

    @rule(name=NAMES, answered=st.booleans())
    def takes_perhaps(self, name: str, answered: bool) -> None:
        hand = self.hands[name]
        if answered:
            hand.look_and_take()
        else:
            self.lose_the_answer(hand, hand.look_and_take)
        self.learn_of_takes(hand)

    @rule(name=NAMES, which=WHICH, answered=st.booleans())
    def acknowledges(self, name: str, which: int, answered: bool) -> None:
        hand = self.hands[name]
        if not hand.messages or not hand.sure:
            return
        message = hand.messages[which % len(hand.messages)]
        hand.messages.remove(message)
        message.ack()
        self.leaves(message.delivery_tag, DONE)
        if not answered:
            # It is asked again over the next connection, and must do no harm.
            self.cut(hand)
            hand.taking.acknowledge(message.delivery_tag)

    @rule(name=NAMES, which=WHICH, times=st.integers(1, 2))
    def gives_back(self, name: str, which: int, times: int) -> None:
        hand = self.hands[name]
        if not hand.messages or not hand.sure:
            return
        message = hand.messages[which % len(hand.messages)]
        for _ in range(times):
            with hand.taking.raw.pipeline(transaction=False) as pipe:
                hand.taking.give_back(pipe, message.sluiceway)
                pipe.execute()
        hand.messages.remove(message)
        hand.taking.held.pop(message.delivery_tag, None)
        self.leaves(message.delivery_tag, WAITING)

    @rule(name=NAMES, which=WHICH)
    def rejects_to_be_run_again(self, name: str, which: int) -> None:
        hand = self.hands[name]
        if not hand.messages or not hand.sure:
            return
        message = hand.messages.pop(which % len(hand.messages))
        message.requeue()
        self.leaves(message.delivery_tag, WAITING)

    @rule(name=NAMES)
    def loses_its_connection(self, name: str) -> None:
        self.cut(self.hands[name])

    @rule(name=NAMES)
    def settles(self, name: str) -> None:
        """After silence: what runs goes on, what Redis has and nobody knows goes back."""
        hand = self.hands[name]
        hand.taking.square()
        hand.sure = True
        known = {message.delivery_tag for message in hand.messages}
        for tag in set(self.where.values()):
            if tag.startswith(hand.identity.incarnation) and tag not in known:
                self.leaves(tag, WAITING)

    @rule(name=NAMES)
    def renews(self, name: str) -> None:
        self.hands[name].taking.renew(self.client)

    @rule(name=NAMES)
    def dies(self, name: str) -> None:
        self.hands[name].vanish()
        self.dead.append(self.hands[name].identity.incarnation)
        self.hands[name] = self.new(name)

    @precondition(lambda self: self.dead)
    @rule(which=WHICH)
    def the_dead_are_recovered(self, which: int) -> None:
        """By whoever learns of it; also of those whom others recovered."""
        incarnation = self.dead[which % len(self.dead)]
        recover(self.client, recovery(Place(), Death(incarnation, at=0.0)))
        for tag in set(self.where.values()):
            if tag.startswith(incarnation):
                self.leaves(tag, WAITING)

    @rule(which=WHICH)
    def a_visibility_timeout_passes(self, which: int) -> None:
        tags = self.client.zrange("unacked_index", 0, -1)
        if tags:
            tag = tags[which % len(tags)].decode()
            self.plain.channel.qos.restore_by_tag(tag)
            self.leaves(tag, WAITING)

    @rule()
    def the_plain_consumer_takes(self) -> None:
        had = len(self.plain.messages)
        if any(self.client.llen(key) for queue in QUEUES for key in wire.queue_keys("", queue)):
            self.plain.wait()
        for message in self.plain.messages[had:]:
            self.where[message.headers["id"]] = message.delivery_tag

    @precondition(lambda self: self.plain.messages)
    @rule(which=WHICH)
    def the_plain_consumer_acknowledges(self, which: int) -> None:
        message = self.plain.messages.pop(which % len(self.plain.messages))
        if self.where[message.headers["id"]] == message.delivery_tag:
            self.where[message.headers["id"]] = DONE
        message.ack()

    @invariant()
    def every_message_is_where_it_must_be_and_nowhere_else(self) -> None:
        there: list[tuple[str, str]] = []
        for queue in QUEUES:
            for key in wire.queue_keys("", queue):
                for raw in self.client.lrange(key, 0, -1):
                    there.append((json.loads(raw)["headers"]["id"], WAITING))
        for tag, value in self.client.hgetall("unacked").items():
            raw, exchange, routing_key = json.loads(value)
            assert exchange == ""
            assert routing_key in QUEUES
            there.append((raw["headers"]["id"], tag.decode()))
        assert sorted(there) == sorted((m, at) for m, at in self.where.items() if at != DONE)
        assert set(self.client.hkeys("unacked")) == set(self.client.zrange("unacked_index", 0, -1))

    @invariant()
    def all_that_anyone_holds_is_in_their_holdings(self) -> None:
        everyone = [*(hand.identity.incarnation for hand in self.hands.values()), *self.dead]
        for incarnation in everyone:
            held = self.client.hkeys(wire.held_key("", incarnation))
            mine = {tag for tag in self.where.values() if tag.startswith(incarnation)}
            assert mine <= {tag.decode() for tag in held}

    def lose_the_answer(self, hand: Any, ask: Callable[[], Any]) -> None:
        asks = hand.taking._ask

        def lost(*args: Any) -> Any:
            asks(*args)
            raise redis.ConnectionError("the answer is lost")

        hand.taking._ask = lost
        with suppress(redis.ConnectionError):
            ask()
        self.cut(hand)

    def cut(self, hand: Any) -> None:
        hand.sure = False
        hand.cut()

    def learn_of_takes(self, hand: Any) -> None:
        for tag, value in self.client.hgetall("unacked").items():
            if tag.decode().startswith(hand.identity.incarnation):
                self.where[json.loads(value)[0]["headers"]["id"]] = tag.decode()

    def leaves(self, tag: str, place: str) -> None:
        """What was held under this tag, if it still was, is there now."""
        for name, at in self.where.items():
            if at == tag:
                self.where[name] = place

    def teardown(self) -> None:
        for hand in [*self.hands.values(), self.plain]:
            hand.connection.close()


def play(world: type[World], hand: Callable[..., Any], client: redis.Redis, *, soak: bool) -> None:
    """Let hypothesis try what may happen in ``world``, on a real server."""

    class ThisWorld(world):  # type: ignore[misc, valid-type]
        pass

    ThisWorld.client, ThisWorld.hand = client, staticmethod(hand)
    run_state_machine_as_test(
        ThisWorld,
        settings=settings(
            max_examples=2000 if soak else 40,
            stateful_step_count=50,
            deadline=None,
            derandomize=not soak,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(1200)
def test_no_message_is_lost_doubled_or_taken_from_the_living(
    hand: Callable[..., Any], client: redis.Redis, request: pytest.FixtureRequest
) -> None:
    play(World, hand, client, soak=request.config.getoption("--soak"))

"""Parked messages as the operator reads them, brings them back, and vouches for them.

Workers park what is far ahead only while somebody stands by for their fleet
(``sluiceway_worker.parking``). Standing by is a key with a TTL, renewed; it is taken
away in the step before everything of a fleet is brought back, so that no worker that
still lives parks it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, key_problem, sentence
from sluiceway.broker.reading import NOTHING_PARKED, BrokerQueue, Parked, ParkedFacts
from sluiceway.broker.scripts import READ_PARKED, Command, ScriptCall
from sluiceway_worker import wire
from sluiceway_worker.parked import BATCH, DROP_ONE, RELEASE, RELEASE_ONE, keys_of

LISTS = 1_000
"""The parked messages of so many lists are looked at, those that are due first."""
ETAS = 50
"""So many of their ETAs are told of each list, as of messages that lie in a queue."""

_PAGE = 100


def parked_call(prefix: str) -> ScriptCall:
    """Asks for all that is parked under one key prefix; costs next to nothing for none."""
    lists, key = wire.parked_lists_key(prefix), wire.parked_key(prefix, "")
    return ScriptCall(script=READ_PARKED, args=(lists, key, LISTS, ETAS))


def parked_facts(reply: Any, broker: Broker) -> ParkedFacts:
    """What the server answered to ``parked_call``."""
    if isinstance(reply, ResponseError):
        return ParkedFacts(problem=sentence(reply, broker.address))
    if isinstance(reply, bytes):
        return ParkedFacts(problem=f"parked messages: {key_problem(reply, wanted='sorted set')}")
    if not reply:
        return NOTHING_PARKED
    return ParkedFacts(
        lists={
            _text(name): Parked(count=int(count), etas=tuple(float(eta) for eta in etas))
            for name, count, *etas in reply
        }
    )


async def stand_by(broker: Broker, *, prefix: str, fleets: Iterable[str], asker: str) -> None:
    """Vouch for these fleets (``namespace/name``): they will be started in time.

    Raises:
        BrokerError: not all of it was done. Workers then hold what is for later.
    """
    calls: list[Command | ScriptCall] = [
        ("SET", wire.parking_key(prefix, fleet), asker, "PX", wire.PARKING_TTL_MS)
        for fleet in fleets
    ]
    if calls:
        _checked(broker, await broker.run(calls))


async def stand_by_no_more(broker: Broker, *, prefix: str, fleet: str) -> None:
    """From here on the fleet's workers park nothing, until somebody stands by again.

    Raises:
        BrokerError: it was not done.
    """
    _checked(broker, await broker.run([("DEL", wire.parking_key(prefix, fleet))]))


async def release_due(broker: Broker, *, prefix: str, lists: Iterable[str], until: float) -> int:
    """Bring back what is due of these lists, a batch of each; how many messages went.

    Raises:
        BrokerError: not all of it was done. Doing it again is safe.
    """
    calls: list[Command | ScriptCall] = [_release(prefix, one, str(until)) for one in lists]
    return sum(map(int, _checked(broker, await broker.run(calls)))) if calls else 0


async def release_all(
    broker: Broker, *, prefix: str, lists: Iterable[str], fleet: str | None = None
) -> int:
    """Bring back everything of these lists, due or not; how many messages went.

    Args:
        fleet: whose workers are to park no more (``namespace/name``); None: they may.

    Raises:
        BrokerError: not all of it was done. Doing it again is safe.
    """
    if fleet is not None:
        await stand_by_no_more(broker, prefix=prefix, fleet=fleet)
    moved = 0
    for one in lists:
        while True:
            (batch,) = _checked(broker, await broker.run([_release(prefix, one, "+inf")]))
            moved += int(batch)
            if int(batch) < BATCH:
                break
    return moved


def lists_of(queues: Iterable[BrokerQueue]) -> list[str]:
    """The source lists of these queues, as the park names them: without the prefix."""
    return [key.removeprefix(queue.prefix) for queue in queues for key in queue.list_keys()]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParkedMessage:
    """One parked message."""

    list: str
    """The source list, without the prefix."""
    name: str
    """What it is called there."""
    eta: float
    """Unix seconds."""
    message: bytes


async def parked_messages(
    broker: Broker, *, prefix: str, lists: Iterable[str] | None = None
) -> list[ParkedMessage]:
    """All that are parked in these lists, or with None in any, by their ETA.

    Raises:
        BrokerError: they could not be read.
    """
    if lists is None:
        registry: Command = ("ZRANGE", wire.parked_lists_key(prefix), 0, -1)
        (names,) = _checked(broker, await broker.run([registry]))
        lists = [_text(name) for name in names]
    found: list[ParkedMessage] = []
    for one in lists:
        start = 0
        while True:
            key, end = wire.parked_key(prefix, one), start + _PAGE - 1
            page: Command = ("ZRANGE", key, start, end, "WITHSCORES")
            (raw,) = _checked(broker, await broker.run([page]))
            scores = _pairs(raw)
            if not scores:
                break
            names_there = [name for name, _ in scores]
            bodies: Command = ("HMGET", wire.parked_bodies_key(prefix, one), *names_there)
            (messages,) = _checked(broker, await broker.run([bodies]))
            found += [
                ParkedMessage(list=one, name=_text(name), eta=eta, message=message)
                for (name, eta), message in zip(scores, messages, strict=True)
                if message is not None  # it has gone back in between
            ]
            start += _PAGE
    return sorted(found, key=lambda one: one.eta)


async def release_one(broker: Broker, *, prefix: str, parked: ParkedMessage) -> bool:
    """Bring one back, due or not; False where it is not there any more.

    Raises:
        BrokerError: it could not be done; it is where it was.
    """
    return await _one(broker, RELEASE_ONE, prefix, parked)


async def drop_one(broker: Broker, *, prefix: str, parked: ParkedMessage) -> bool:
    """Forget one for good; False where it is not there any more.

    Raises:
        BrokerError: it could not be done; it is where it was.
    """
    return await _one(broker, DROP_ONE, prefix, parked)


async def _one(broker: Broker, script: str, prefix: str, parked: ParkedMessage) -> bool:
    keys = keys_of(prefix, parked.list)
    command: Command = ("EVAL", script, len(keys), *keys, parked.name, parked.list)
    (reply,) = _checked(broker, await broker.run([command]))
    return bool(reply)


def _release(prefix: str, source: str, until: str) -> Command:
    keys = keys_of(prefix, source)
    return ("EVAL", RELEASE, len(keys), *keys, until, BATCH, source)


def _checked(broker: Broker, replies: Sequence[Any]) -> Sequence[Any]:
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise BrokerError(sentence(reply, broker.address))
    return replies


def _pairs(raw: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Members and scores, flat or in pairs as RESP3 has them."""
    if raw and isinstance(raw[0], (list, tuple)):
        return [(member, float(score)) for member, score in raw]
    return [(raw[at], float(raw[at + 1])) for at in range(0, len(raw), 2)]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")

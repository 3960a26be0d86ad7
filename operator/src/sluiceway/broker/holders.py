"""Who may hold messages in a broker, and who of them has died. Pure, but for the reading.

A holder stands in the broker until what it held is brought back, so that an operator who
was away for an hour still finds it. What proves its death comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from redis.exceptions import NoPermissionError, ResponseError

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, sentence
from sluiceway.broker.scripts import Command
from sluiceway_worker.fate import Death
from sluiceway_worker.wire import Holder, dead_key, heartbeat_key, holders_key

T = TypeVar("T")


class Cause(StrEnum):
    """Why a worker ended, as metrics tell it apart."""

    MEMORY = "memory"
    """The kernel ended it for want of memory."""
    CRASH = "crash"
    """An exit code or a signal, unasked."""
    EVICTED = "evicted"
    """The node or the scheduler wanted its place."""
    TOLD = "told"
    """It was told to go, and ended by force when its grace period was over."""
    NODE = "node"
    """Its node is gone, or was said to be out of service."""
    SILENCE = "silence"
    """Nothing was heard of it for very long."""

    @property
    def is_blamed(self) -> bool:
        """Whether what ran may have been the cause."""
        return self in (Cause.MEMORY, Cause.CRASH)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """A worker's container, or its whole process group, has ended for certain."""

    worker: str
    """The pod's name, or the local process'."""
    cause: Cause
    reason: str
    """For people: ``OOMKilled``, ``exit code 1``, ``signal 9``."""
    before: float | None = None
    """What started earlier under this name is over, Unix seconds by its own machine's
    clock; None: whatever bears it."""
    if_silent: bool = False
    """It proves nothing of who is heard. Another life of the container may run by now, and a
    clock that was set back make it look like the one before; or it is a node's end, which
    is told by people and clouds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holders:
    """A look at all who may hold something under one key prefix."""

    there: Mapping[str, Holder]
    """Incarnation → who it is."""
    heard: frozenset[str]
    """Those of them that have a heartbeat."""
    letters: Mapping[str, int]
    """Fleet → how many dead letters it has."""
    refused: str = ""
    """Why no heartbeat can be written at this moment, as a sentence; "" where one can."""


def ended(
    holders: Mapping[str, Holder], fleet: str, ends: Iterable[End]
) -> Iterator[tuple[str, End]]:
    """The incarnations of a fleet that an end is a proof for."""
    by_worker: dict[str, list[End]] = {}
    for end in ends:
        by_worker.setdefault(end.worker, []).append(end)
    for incarnation, holder in holders.items():
        # A Deployment that a team brought along need not say whose it is; a pod's name does.
        if holder.fleet not in ("", fleet):
            continue
        for end in by_worker.get(incarnation.rpartition(":")[0], ()):
            # The next container in the pod starts at the earliest when this one has ended;
            # the kubelet cuts off what is below a second.
            if end.before is None or (
                holder.started_at is not None and holder.started_at < end.before
            ):
                yield incarnation, end
                break


async def read_holders(broker: Broker, prefix: str, fleets: Iterable[str]) -> Holders:
    """Look at who may hold something, and at how many dead letters these fleets have.

    Raises:
        BrokerError: it could not be read.
    """
    named = sorted(set(fleets))
    raw, *counts = _checked(
        broker,
        await broker.run(
            [("HGETALL", holders_key(prefix)), *(("HLEN", dead_key(prefix, one)) for one in named)]
        ),
    )
    pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
    there = {name.decode("utf-8", "replace"): Holder.from_text(text) for name, text in pairs}
    heard, refused = [], ""
    if there:
        beats: list[Command] = [("EXISTS", heartbeat_key(prefix, one)) for one in there]
        # Nobody's heartbeat, which is never there, so that nothing is written. A server that
        # takes no writes, or has no memory, refuses it as it does its workers'.
        tried: Command = ("SET", heartbeat_key(prefix, ""), "", "XX", "PX", 1)
        *heard, trial = await broker.run([*beats, tried])
        _checked(broker, heard)
        # What we may not write says nothing of what workers may.
        if isinstance(trial, ResponseError) and not isinstance(trial, NoPermissionError):
            refused = sentence(trial, broker.address)
    return Holders(
        there=there,
        heard=frozenset(one for one, beats in zip(there, heard, strict=True) if beats),
        letters=dict(zip(named, counts, strict=True)),
        refused=refused,
    )


async def carry_out(broker: Broker, steps: Generator[list[Any], list[Any], T]) -> T:
    """Recover or tidy (sluiceway_worker.recovery, tidying) over a kept connection.

    Raises:
        BrokerError: it broke off; doing it again is safe.
        RecoveryError: the broker refused a part of it.
    """
    batch = next(steps)
    while True:
        replies = await broker.run(batch)
        try:
            batch = steps.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result


def death_of(incarnation: str, end: End, now: float) -> Death:
    """What is written into the messages of a death that was proven."""
    return Death(
        incarnation=incarnation,
        at=now,
        reason=end.reason,
        blamed=end.cause.is_blamed,
        proven=not end.if_silent,
    )


def _checked(broker: Broker, replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise BrokerError(sentence(reply, broker.address))
    return replies

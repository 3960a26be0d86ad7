"""One look at one broker: everything its fleets need, in one round trip.

A request names queues and key prefixes; it becomes one batch of script calls and
plain commands; the replies become a ``BrokerReading``. Between looks a gauge
remembers only what must not be read every time: heads over 1 MB, how far it has come in
``unacked``, and what the workers had counted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import ResponseError

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, key_problem, sentence
from sluiceway.broker.heartbeats import Heartbeats
from sluiceway.broker.held import HeldWalk
from sluiceway.broker.parked import parked_call, parked_facts
from sluiceway.broker.reading import (
    BrokerQueue,
    BrokerReading,
    Head,
    Heard,
    HeldFacts,
    QueueFacts,
    WorkerFacts,
)
from sluiceway.broker.scripts import READ_QUEUES, READ_WORKERS, Command, ScriptCall
from sluiceway_worker.wire import (
    HEARTBEAT_TTL_MS,
    STAMP_HEADER,
    heartbeat_key,
    queue_keys,
    workers_key,
)

KEYS_PER_CALL = 1_000
"""A script holds up the whole server while it runs: so many keys take about 1 ms when
they are empty, and about 6 ms when all of them hold messages."""
PEEK = 50
"""Messages of one key that are looked at, from the oldest, for one that is not for later."""
LARGE_HEAD = 1_000_000
"""Bytes. To look at a message the server copies it; larger heads are looked at rarely."""
LARGE_HEAD_EVERY_S = 5.0
REMEMBERED_S = 60.0
"""What has not been asked for this long is forgotten. Not every look asks for
everything: one fleet that was woken is looked at alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the fleets of one broker need to know of it."""

    queues: frozenset[BrokerQueue] = frozenset()
    prefixes: frozenset[str] = frozenset()
    """Whose heartbeats and whose number of held messages."""
    held_by_queue: frozenset[str] = frozenset()
    """The prefixes among them where held messages are told apart by queue."""


class Gauge:
    """Reads one broker, again and again."""

    def __init__(self, broker: Broker, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.broker = broker
        self._clock = clock
        self._large: dict[tuple[BrokerQueue, int], tuple[float, Head]] = {}
        self._walks: dict[str, HeldWalk] = {}
        self._walked_at: dict[str, float] = {}
        self._heartbeats: dict[str, Heartbeats] = {}
        self._heard_at: dict[str, float] = {}
        self.read_at = clock()
        """When it was read last, by its clock."""

    async def read(self, request: Request) -> BrokerReading:
        """Look once. Trouble is a reading too: its ``problem`` says what it is."""
        chunks = list(_chunks(request.queues))
        prefixes = sorted(request.prefixes)
        walked = sorted(request.held_by_queue)
        self._remember(prefixes, walked)
        batch: list[Command | ScriptCall] = [("TIME",)]
        batch += [self._queues_call(chunk) for chunk in chunks]
        for prefix in prefixes:
            batch += _prefix_calls(prefix)
        batch += [self._walks[prefix].call() for prefix in walked]
        try:
            replies = iter(await self.broker.run(batch))
        except BrokerError as exc:
            return BrokerReading(problem=str(exc), facts=self.broker.facts)

        now = _time(next(replies))
        queues: dict[BrokerQueue, QueueFacts] = {}
        for chunk in chunks:
            queues |= self._queues(chunk, next(replies))
        workers, held, parked = {}, {}, {}
        for prefix in prefixes:
            workers[prefix] = self._workers(prefix, next(replies))
            held[prefix] = self._held(next(replies), next(replies))
            parked[prefix] = parked_facts(next(replies), self.broker)
        for prefix in walked:
            held[prefix] = self._walk(prefix, held.get(prefix, HeldFacts()), next(replies))
        return BrokerReading(
            facts=self.broker.facts,
            server_time=now,
            queues=queues,
            workers=workers,
            held=held,
            parked=parked,
        )

    def _remember(self, heard: Iterable[str], walked: Iterable[str]) -> None:
        self.read_at = self._clock()
        for asked_at, now in ((self._heard_at, heard), (self._walked_at, walked)):
            asked_at |= dict.fromkeys(now, self.read_at)
            for prefix, at in list(asked_at.items()):
                if self.read_at - at > REMEMBERED_S:
                    del asked_at[prefix]
        self._walks = {p: self._walks.get(p) or HeldWalk(p) for p in self._walked_at}
        self._heartbeats = {p: self._heartbeats.get(p) or Heartbeats() for p in self._heard_at}

    def _queues_call(self, chunk: Sequence[BrokerQueue]) -> ScriptCall:
        suffixes = queue_keys("", "", chunk[0].steps, chunk[0].separator)
        return ScriptCall(
            script=READ_QUEUES,
            args=(
                STAMP_HEADER,
                PEEK,
                LARGE_HEAD,
                len(suffixes),
                *suffixes,
                self._alone(chunk, len(suffixes)),
                *(queue.prefix + queue.name for queue in chunk),
            ),
        )

    def _alone(self, chunk: Sequence[BrokerQueue], steps: int) -> str:
        """The script's flags: which keys are to be left alone, "" for none."""
        if not self._large:
            return ""
        until = self._clock() - LARGE_HEAD_EVERY_S
        return "".join(
            "1" if self._large.get((queue, step), (until,))[0] > until else "0"
            for queue in chunk
            for step in range(steps)
        )

    def _queues(self, chunk: Sequence[BrokerQueue], reply: Any) -> dict[BrokerQueue, QueueFacts]:
        if isinstance(reply, ResponseError):
            problem = sentence(reply, self.broker.address)
            return {queue: QueueFacts(problem=problem) for queue in chunk}
        return {queue: self._queue(queue, one) for queue, one in zip(chunk, reply, strict=True)}

    def _queue(self, queue: BrokerQueue, reply: Any) -> QueueFacts:
        if reply == 0:
            return _EMPTY
        if isinstance(reply, bytes):
            return QueueFacts(problem=f"queue {queue.name}: {key_problem(reply, wanted='list')}")
        length, *fields = reply
        heads = (
            self._head(queue, *fields[at : at + 7])  # seven for each key that is not empty
            for at in range(0, len(fields), 7)
        )
        return QueueFacts(length=length, heads=tuple(heads))

    def _head(
        self,
        queue: BrokerQueue,
        step: int,
        size: int,
        message_id: bytes,
        eta: bytes,
        stamp: bytes,
        hidden: int,
        later: bytes,
    ) -> Head:
        if size < 0:
            return self._large[queue, step][1]
        head = Head(
            step=step,
            size=size,
            message_id=message_id.decode("utf-8", "replace") or None,
            published=_number(stamp),
            eta=_number(eta),
            later=tuple(float(one) for one in later.split(b",") if one),
            hidden=hidden,
        )
        self._large.pop((queue, step), None)
        if size > LARGE_HEAD:
            self._large[queue, step] = (self._clock(), head)
        return head

    def _workers(self, prefix: str, reply: Any) -> WorkerFacts:
        if isinstance(reply, ResponseError):
            return WorkerFacts(problem=sentence(reply, self.broker.address))
        if isinstance(reply, bytes):
            return WorkerFacts(problem=f"heartbeats: {key_problem(reply, wanted='set')}")
        heard: list[Heard] = []
        dead: list[str] = []
        strangers: list[str] = []
        heartbeats = self._heartbeats[prefix]
        heartbeats.begin()
        for at in range(0, len(reply), 3):
            incarnation, left_ms, payload = reply[at : at + 3]
            name = incarnation.decode("utf-8", "replace")
            if left_ms == -2:
                dead.append(name)
                continue
            try:
                heartbeat = heartbeats.read(payload)
            except ValueError:
                strangers.append(name)
                continue
            age_s = max(HEARTBEAT_TTL_MS - left_ms, 0) / 1000
            heard.append(Heard(heartbeat=heartbeat, age_s=age_s))
        problem = None
        if strangers:
            problem = (
                f"heartbeats: {heartbeat_key(prefix, strangers[0])} cannot be understood; "
                "is the worker's sluiceway-worker newer than this operator?"
            )
        return WorkerFacts(heard=tuple(heard), dead=tuple(dead), problem=problem)

    def _held(self, count: Any, oldest: Any) -> HeldFacts:
        for reply in (count, oldest):
            if isinstance(reply, ResponseError):
                return HeldFacts(problem=sentence(reply, self.broker.address))
        return HeldFacts(count=count, oldest_at=float(oldest[1]) if oldest else None)

    def _walk(self, prefix: str, facts: HeldFacts, reply: Any) -> HeldFacts:
        if isinstance(reply, ResponseError):
            return replace(facts, problem=sentence(reply, self.broker.address))
        if isinstance(reply, bytes):
            return replace(facts, problem=key_problem(reply, wanted="hash or sorted set"))
        self._walks[prefix].learn(*reply)
        return replace(facts, by_queue=self._walks[prefix].by_queue())


_EMPTY = QueueFacts(length=0)


def _chunks(queues: Iterable[BrokerQueue]) -> Iterator[Sequence[BrokerQueue]]:
    """Queues that share their priority steps, so many that a call has 1,000 keys."""
    alike: defaultdict[tuple[tuple[int, ...], str], list[BrokerQueue]] = defaultdict(list)
    for queue in queues:
        alike[queue.steps, queue.separator].append(queue)
    for (steps, _), group in alike.items():
        size = max(1, KEYS_PER_CALL // max(1, len(steps)))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _prefix_calls(prefix: str) -> list[Command | ScriptCall]:
    index = f"{prefix}unacked_index"
    return [
        ScriptCall(script=READ_WORKERS, args=(workers_key(prefix), heartbeat_key(prefix, ""))),
        ("ZCARD", index),
        ("ZRANGE", index, 0, 0, "WITHSCORES"),
        parked_call(prefix),
    ]


def _time(reply: Any) -> float | None:
    """The server's clock; a user without ``+time`` leaves it unknown."""
    if isinstance(reply, ResponseError):
        return None
    seconds, microseconds = reply
    return int(seconds) + int(microseconds) / 1e6


def _number(raw: bytes) -> float | None:
    try:
        return float(raw)
    except ValueError:
        return None

"""What one look at a broker is asked, and what it found.

Plain frozen values between the read scripts and ``observe``. Nothing here
judges: lengths, heads and heartbeats are as the server gave them, and whatever
it would not give is ``None`` or a sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluiceway.broker.facts import BrokerFacts
from sluiceway_worker.heartbeat import Heartbeat
from sluiceway_worker.wire import PRIORITY_SEP, PRIORITY_STEPS, queue_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerQueue:
    """One Celery queue of one application, by the keys that kombu gives it."""

    name: str
    prefix: str = ""
    steps: tuple[int, ...] = PRIORITY_STEPS
    separator: str = PRIORITY_SEP

    def list_keys(self) -> list[str]:
        """Its list keys, in the order of ``steps``."""
        return queue_keys(self.prefix, self.name, self.steps, self.separator)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The oldest end of one priority key, without any body.

    Messages for later do not wait; the message described here is the first behind
    them that does.
    """

    step: int
    """Which of the queue's priority steps, by position."""
    size: int = 0
    """Bytes that the server had to look at."""
    message_id: str | None = None
    """What tells the message from another: its task's id, or a digest of its end. None
    where only messages for later were seen."""
    published: float | None = None
    """Its publish stamp, Unix seconds."""
    eta: float | None = None
    """Its ETA, Unix seconds."""
    later: tuple[float, ...] = ()
    """The ETAs of the messages for later in front of it, Unix seconds."""
    hidden: int = 0
    """Where no such message was seen: how many were not looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueFacts:
    """One queue as the broker has it."""

    length: int | None = None
    """Waiting messages over all its priority keys; None when it cannot be read."""
    heads: tuple[Head, ...] = ()
    """One for each priority key that is not empty."""
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A heartbeat that is alive."""

    heartbeat: Heartbeat
    age_s: float
    """Since it was written, by the server's clock alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFacts:
    """The heartbeats under one key prefix."""

    heard: tuple[Heard, ...] = ()
    dead: tuple[str, ...] = ()
    """Incarnations that are listed and have no heartbeat any more."""
    problem: str | None = None
    by_fleet: Mapping[str, tuple[Heard, ...]] = field(init=False, repr=False, compare=False)
    """Those that were heard, by the fleet that they name; "" where they name none."""

    def __post_init__(self) -> None:
        by_fleet: defaultdict[str, list[Heard]] = defaultdict(list)
        for one in self.heard:
            by_fleet[one.heartbeat.fleet].append(one)
        told = {fleet: tuple(heard) for fleet, heard in by_fleet.items()}
        object.__setattr__(self, "by_fleet", told)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldFacts:
    """kombu's ``unacked`` under one key prefix: taken and not acknowledged."""

    count: int | None = None
    oldest_at: float | None = None
    """When the oldest was taken, Unix seconds by its worker's clock."""
    by_queue: Mapping[str, int] | None = None
    """How many of each queue; None unless it was asked for and the queue of every
    one of them could be told."""
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked:
    """The messages with a far ETA that were moved aside from one list."""

    count: int
    etas: tuple[float, ...] = ()
    """The first of their ETAs, rising, Unix seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParkedFacts:
    """All that is parked under one key prefix."""

    lists: Mapping[str, Parked] = field(default_factory=dict)
    """By source list, without the prefix; only lists that have some."""
    problem: str | None = None

    def due(self, at: float) -> tuple[str, ...]:
        """The lists that have some whose ETA has passed ``at``."""
        return tuple(one for one, parked in self.lists.items() if _first(parked) <= at)


NOTHING_PARKED = ParkedFacts()


def _first(parked: Parked) -> float:
    # A list without any is to be taken off the register, which bringing back does.
    return min(parked.etas, default=float("-inf"))


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerReading:
    """One broker at one moment."""

    problem: str | None = None
    """Set when nothing could be read: everything below is then empty."""
    facts: BrokerFacts | None = None
    server_time: float | None = None
    """The server's clock, Unix seconds."""
    queues: Mapping[BrokerQueue, QueueFacts] = field(default_factory=dict)
    workers: Mapping[str, WorkerFacts] = field(default_factory=dict)
    """By key prefix."""
    held: Mapping[str, HeldFacts] = field(default_factory=dict)
    """By key prefix."""
    parked: Mapping[str, ParkedFacts] = field(default_factory=dict)
    """By key prefix."""

"""The Redis keys and payloads that worker and operator share, and nothing else.

Both sides import this module, so a name or a field can change in one place
only. It depends on nothing: not on Celery, not on redis.

All keys carry the application's ``global_keyprefix`` in front (``prefix``
below), as kombu's own keys do, and the transient ones expire by themselves; what
tells where messages are does not.

Key                                 Type    What it holds
``<prefix>sluiceway:workers``       set     incarnations that may have a heartbeat
``<prefix>sluiceway:hb:<inc>``      string  the heartbeat: ``heartbeat.Heartbeat``
``<prefix>sluiceway:drain:<inc>``   string  a drain lease: the asker's name
``<prefix>sluiceway:epoch``         string  the latest leader's number, operators only
``<prefix>sluiceway:pushed:<mark>`` string  this message was pushed back already
``<prefix>sluiceway:held:<inc>``    hash    what it holds: tag → ``<tail>:<source list>``
``<prefix>sluiceway:words:<lists>`` list    each word in it wakes one who waits for them
``<prefix>sluiceway:watch:<lists>`` string  the incarnation that watches them
``<prefix>sluiceway:holders``       hash    who may hold: incarnation → ``Holder.to_text()``
``<prefix>sluiceway:dead:<fleet>``  hash    dead letters: tag → ``Letter.to_bytes()``
``<prefix>sluiceway:parked``        zset    lists with parked messages, by the first ETA
``<prefix>sluiceway:parked:<list>`` zset    its parked messages by ETA, Unix seconds
``<prefix>sluiceway:parked-bodies:<list>`` hash  their bytes
``<prefix>sluiceway:parking:<fleet>`` string somebody stands by: its workers may park

An *incarnation* is one start of one worker: ``<pod or host name>:<boot id>``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

PROTOCOL = 1

HEARTBEAT_EVERY_S = 1.0
"""A heartbeat is written on change, and at least this often."""

HEARTBEAT_TTL_MS = 10_000
"""A heartbeat lives this long. Its age is ``HEARTBEAT_TTL_MS - PTTL``, measured
by the server's clock alone, so that no two clocks are ever compared."""

DRAIN_LEASE_TTL_MS = 15_000
"""A drain request lives this long unless it is renewed: an asker that vanished
must never leave a worker that does nothing."""

PARKING_TTL_MS = 60_000
"""Who stands by to bring parked messages back says so at least this often. Nobody does:
workers hold what is for later, as Celery has it."""

PARK_AFTER_S = 60.0
"""A message whose ETA lies further ahead is parked, not held."""

RELEASE_AHEAD_S = 10.0
"""A worker brings a parked message back so long before it is due: it is then held, and
starts at its ETA to the moment. Never more than half of what is parked for."""

MAX_TASK_NAMES = 50
"""At most so many task names are told apart in a heartbeat; the rest are summed
under ``""``, so that its size is bounded whatever the application does."""

MAX_RUNNING_TOLD = 20
"""Of the running tasks, so many that have run longest are told one by one."""

MAX_EXCEPTIONS = 20
"""At most so many names of exceptions are told apart; the rest are summed under ``""``."""

BOUNDS_S = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Upper bounds of the buckets of run times and waiting times; one more is above the last."""

STAMP_HEADER = "sluiceway_published"
"""Message header with the time of publishing, Unix seconds (float)."""

DEATHS_HEADER = "sluiceway_deaths"
"""Message header: the deaths that it was in, ``[[Unix seconds, reason, incarnation], …]``."""

FORGIVEN_HEADER = "sluiceway_forgiven"
"""Message header: how many of those count no more, because a person released it."""

SUSPECT_HEADER = "sluiceway_suspect"
"""Message header: true where one more death makes it a dead letter. It runs alone."""

# What whoever starts a worker tells it, as environment variables.
ENV_FLEET = "SLUICEWAY_FLEET"
"""``namespace/name`` of its TaskQueue."""
ENV_NAME = "SLUICEWAY_NAME"
"""The worker's own name, the pod's or the local process'; the host name by default."""
ENV_STARTED_AT = "SLUICEWAY_STARTED_AT"
"""When the worker was wished for, Unix seconds: its cold start counts from there."""
ENV_ACKS = "SLUICEWAY_ACKS"
"""``late``, ``early`` or ``app``: who decides on acknowledgement."""
ENV_TAKE = "SLUICEWAY_TAKE"
"""``atomic`` (the default): messages are taken by a script where the broker allows it;
``kombu``: by ``BRPOP``, as kombu does."""
ENV_PARK_AFTER = "SLUICEWAY_PARK_AFTER"
"""Seconds: messages are parked whose ETA lies further ahead; ``PARK_AFTER_S`` by default."""

ENV_MAX_DELIVERIES = "SLUICEWAY_MAX_DELIVERIES"
"""After so many deaths of its worker a message is a dead letter."""

# What a worker says of itself (Heartbeat.state).
CONSUMING = "consuming"
DRAINING = "draining"
DRAINED = "drained"
STOPPING = "stopping"

PRIORITY_SEP = "\x06\x16"
"""kombu's default ``sep`` between queue name and priority step."""

PRIORITY_STEPS = (0, 3, 6, 9)
"""kombu's default ``priority_steps``. Step 0 has the bare queue name."""


def workers_key(prefix: str) -> str:
    """The set of incarnations that may have a heartbeat."""
    return f"{prefix}sluiceway:workers"


def heartbeat_key(prefix: str, incarnation: str) -> str:
    """Where one incarnation writes its heartbeat."""
    return f"{prefix}sluiceway:hb:{incarnation}"


def drain_key(prefix: str, incarnation: str) -> str:
    """Where one incarnation is asked to drain: set with a TTL, renewed, deleted to recall."""
    return f"{prefix}sluiceway:drain:{incarnation}"


def epoch_key(prefix: str) -> str:
    """The number of the latest leader that asked for a drain: earlier ones are refused."""
    return f"{prefix}sluiceway:epoch"


def pushed_key(prefix: str, mark: str) -> str:
    """What remembers that one message was pushed back (``returns.PUSH_BACK_ONCE``)."""
    return f"{prefix}sluiceway:pushed:{mark}"


def held_key(prefix: str, incarnation: str) -> str:
    """What one incarnation holds in ``unacked``; written by the script that takes.

    A field is a delivery tag, which is new for each take: whoever still finds it in
    ``unacked`` finds this take. Its value is ``<tail>:<source>``: how many bytes of the
    ``unacked`` value follow the message, and the list that it was taken from, without
    ``prefix``.
    """
    return f"{prefix}sluiceway:held:{incarnation}"


def holders_key(prefix: str) -> str:
    """Who may have something under ``held_key``: incarnation → ``Holder.to_text()``."""
    return f"{prefix}sluiceway:holders"


def dead_key(prefix: str, fleet: str) -> str:
    """The dead letters of one fleet, without expiry: tag of the last take → ``Letter``."""
    return f"{prefix}sluiceway:dead:{fleet}"


def parked_lists_key(prefix: str) -> str:
    """Which source lists have parked messages, by the ETA of the first (Unix seconds)."""
    return f"{prefix}sluiceway:parked"


def parked_key(prefix: str, source: str) -> str:
    """The parked messages of one source list (without ``prefix``) by their ETA."""
    return f"{prefix}sluiceway:parked:{source}"


def parked_bodies_key(prefix: str, source: str) -> str:
    """Those messages, byte for byte."""
    return f"{prefix}sluiceway:parked-bodies:{source}"


def parking_key(prefix: str, fleet: str) -> str:
    """Set with a TTL by whoever stands by to start this fleet in time; else nothing is parked."""
    return f"{prefix}sluiceway:parking:{fleet}"


def words_key(prefix: str, lists: str) -> str:
    """Where the idle workers of the same lists sleep: each word in it wakes one of them.

    ``lists`` is a short name that they all find for them.
    """
    return f"{prefix}sluiceway:words:{lists}"


def watch_key(prefix: str, lists: str) -> str:
    """Which idle worker watches over these lists for the others; expires by itself."""
    return f"{prefix}sluiceway:watch:{lists}"


def queue_keys(
    prefix: str,
    queue: str,
    steps: tuple[int, ...] = PRIORITY_STEPS,
    sep: str = PRIORITY_SEP,
) -> list[str]:
    """The list keys of one queue, the most urgent (step 0) first, as kombu names them."""
    return [f"{prefix}{queue}" if step == 0 else f"{prefix}{queue}{sep}{step}" for step in steps]


@dataclass(frozen=True)
class Holder:
    """Who an incarnation is, for those who have to tell whether it has died."""

    fleet: str = ""
    """``namespace/name`` of its TaskQueue, or ``""``."""
    container: str = ""
    """A word that differs for each start of a container in one pod, or ``""``."""
    started_at: float | None = None
    """When its process started, Unix seconds by its own machine's clock."""

    waits: str = ""
    """For which lists it waits with others, as in ``words_key``; ``""``: for none."""

    def to_text(self, connections: int = 0) -> str:
        """The value in the hash: five lines.

        Args:
            connections: how many it has had before this one; the scripts compare it.
        """
        started = "" if self.started_at is None else f"{self.started_at:.3f}"
        return f"{self.fleet}\n{self.container}\n{started}\n{self.waits}\n{connections}"

    @classmethod
    def from_text(cls, raw: str | bytes) -> Holder:
        """Read such a value; lines may be missing, and a newer worker may add some."""
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        fleet, container, started, waits, connections, *_ = [*text.split("\n"), *[""] * 4]
        if not connections:
            waits = ""  # An older worker has the connections there.
        try:
            return cls(fleet, container, float(started) if started else None, waits)
        except ValueError:
            return cls(fleet, container, None, waits)


@dataclass(frozen=True)
class Letter:
    """A message that was given up, and why. Of its arguments only the message itself knows."""

    id: str
    """The task's id, and its name; "" where the message does not say so in its headers."""
    task: str
    at: float
    """When it was given up, Unix seconds."""
    source: str
    """The list that it was taken from, without the key prefix."""
    fleet: str
    deaths: list[list[Any]]
    """As in ``DEATHS_HEADER``."""
    message: bytes = b""

    def to_bytes(self) -> bytes:
        """One line of JSON, and behind it the message as it is."""
        about = {key: value for key, value in vars(self).items() if key != "message"}
        return json.dumps(about).encode() + b"\n" + self.message

    @classmethod
    def from_bytes(cls, raw: bytes) -> Letter:
        """Read it back.

        Raises:
            ValueError: it is no letter that this version understands.
        """
        about, _, message = raw.partition(b"\n")
        try:
            known = {k: v for k, v in json.loads(about).items() if k in cls.__dataclass_fields__}
            return cls(**{**known, "message": message})
        except (TypeError, AttributeError, ValueError) as exc:
            raise ValueError(f"not a dead letter: {exc}") from exc

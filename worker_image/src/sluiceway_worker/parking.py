"""Parking: what is far ahead is not held by a worker, so that a fleet can rest until then.

Celery keeps a message with an ETA in a worker's memory until that moment. Given back to its
list it would be taken again at once. Here it is moved aside instead (``parked``), and comes
back to the head of its list shortly before it is due:

    taken ─▶ Celery's timer ─▶ far, and somebody stands by ─▶ parked ─▶ its list ─▶ taken
                           └─▶ else: held there, as ever          on the beat of any worker

Only whoever starts workers can start one in time when none is left. So a worker parks only
while an operator or a local mode says that it stands by for this fleet, in a key that
expires; the script looks at it in the same step that moves.

A request is first put into the timer, as Celery wants it, and taken out again on the
consumer's next turn, when its own code has done with it.
"""

from __future__ import annotations

import os
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import redis
from celery.utils.log import get_logger

from sluiceway_worker import parked, wire
from sluiceway_worker.giveback import tail_of
from sluiceway_worker.intake import BROKER_ERRORS, Taken
from sluiceway_worker.takes import Take
from sluiceway_worker.taking import Taking

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.worker.request import Request

    from sluiceway_worker.door import Door
    from sluiceway_worker.drain import Drain

logger = get_logger(__name__)

EARLY = "early"
"""Where a fleet is to acknowledge early, all is as Celery has it then."""

_TURN = 50
"""So many are parked in one turn of the consumer at most; it has other duties."""

_REFUSED_S = 60.0
"""A broker that refused is asked again so much later: a full or failing over one refuses, too."""

_LISTS = 50
"""The messages of so many lists are brought back by one beat."""


class Parking:
    """Parks for one worker, and brings back for all.

    Args:
        fleet: ``namespace/name``, or ``""`` where nobody said: then nothing is parked.
        drain: whose messages these are.
        clock_offset: the broker's clock minus ours, in seconds.
    """

    def __init__(self, fleet: str, drain: Drain, clock_offset: Callable[[], float]) -> None:
        self._fleet = fleet
        self._drain = drain
        self._clock_offset = clock_offset
        self._after_s = after_s()
        self._may = bool(fleet) and os.environ.get(wire.ENV_ACKS) != EARLY
        self._far: dict[Request, Any] = {}
        """What is far ahead, and Celery's timer for it."""
        self._stood_by: bool | None = None
        """None: it was not asked yet."""
        self._refused_until = float("-inf")

    def scheduled(self, request: Request, timer: Any) -> None:
        """A request was put into the timer, to enter the pool at its ETA."""
        if self._may and self._is_far(request) and _can_be_moved(request):
            self._far[request] = timer

    def turn(self) -> None:
        """Park what is far ahead, if somebody stands by; on the consumer's thread."""
        drain = self._drain
        if not self._far or not self._stood_by or self._refused or drain.closed:
            return
        for request in list(self._far)[:_TURN]:
            timer = self._far.pop(request)
            if not self._is_far(request):
                continue
            if self._park(request):
                drain.part_with(request, timer)
            elif not request.acknowledged:
                self._far[request] = timer
                return

    def heard(self, client: redis.Redis) -> None:
        """The broker is there: who stands by, and what is due? On the heartbeat's thread.

        Raises:
            redis.RedisError: the connection is lost.
        """
        door = self._drain.door
        if door is None or self._refused:
            return
        prefix = door.channel.global_keyprefix
        until = self._now() + min(wire.RELEASE_AHEAD_S, self._after_s / 2)
        lists = wire.parked_lists_key(prefix)
        try:
            with client.pipeline(transaction=False) as pipe:
                pipe.exists(wire.parking_key(prefix, self._fleet))
                pipe.zrangebyscore(lists, "-inf", until, start=0, num=_LISTS)
                stood_by, due = pipe.execute()
            self._stood_by = bool(stood_by)
            moved = sum(release(client, prefix, source, until) for source in due)
        except redis.ResponseError as exc:
            self._refuse(exc)
            return
        if moved:
            logger.info("Brought back %d parked messages that are due", moved)

    def longest_hold_s(self) -> float | None:
        """The longest ``hold_s`` of what stays held; from any thread."""
        goes = self._far if self._stood_by is not False and not self._refused else ()
        held = list(self._drain.scheduled.items())
        return max((later.hold_s for request, later in held if request not in goes), default=None)

    def _park(self, request: Request) -> bool:
        """Whether it is not to be started here: parked, or not ours, or nobody knows."""
        door, eta = self._drain.door, self._drain.scheduled[request].eta
        if door is None:
            return False
        try:
            answer = park(door, self._fleet, request.message, eta)
        except redis.ResponseError as exc:
            self._refuse(exc)
            return False
        except BROKER_ERRORS as exc:
            # Parked or not? Giving it back moves it only if it is still held.
            logger.info("Gives back what may not be parked: %s", exc)
            return True
        if answer == parked.STAYS:
            self._stood_by = False
            return False
        if answer == parked.PARKED:
            logger.info("Parked task %s, which is due in %.0f s", request.id, eta - self._now())
        return True

    def _is_far(self, request: Request) -> bool:
        later = self._drain.scheduled.get(request)
        return later is not None and later.eta - self._now() > self._after_s

    def _now(self) -> float:
        return time() + self._clock_offset()

    @property
    def _refused(self) -> bool:
        return monotonic() < self._refused_until

    def _refuse(self, exc: Exception) -> None:
        self._refused_until = monotonic() + _REFUSED_S
        self._far.clear()
        logger.warning("Messages for later are held, for the broker refuses to park them: %s", exc)


def after_s() -> float:
    """From how far ahead messages are parked, seconds."""
    try:
        return float(os.environ.get(wire.ENV_PARK_AFTER) or wire.PARK_AFTER_S)
    except ValueError:
        return wire.PARK_AFTER_S


def park(door: Door, fleet: str, message: Any, eta: float) -> int:
    """Move a message that this worker holds to the parked ones.

    Args:
        message: kombu's, as it was taken through a door of this worker.
        eta: Unix seconds.

    Returns:
        ``parked.PARKED``, ``NOT_MINE`` or ``STAYS``.

    Raises:
        redis.RedisError: it was not done, or nobody knows; doing it again is safe.
    """
    taken, prefix = message.sluiceway, door.channel.global_keyprefix
    lists, bodies, _, registry = parked.keys_of(prefix, taken.source)
    holder = door.incarnation if isinstance(door, Taking) else ""
    keys = [
        *door.unacked_keys(),
        wire.held_key(prefix, holder),
        *(lists, bodies, registry),
        wire.parking_key(prefix, fleet),
    ]
    if isinstance(taken, Take):
        take = ("", "", taken.tail, "")
    else:
        tail = tail_of(message.delivery_info)
        take = (taken.before, taken.after, len(tail.encode()), tail)
    args = [message.delivery_tag, *take, eta, taken.source]
    return int(door.raw.eval(parked.PARK, len(keys), *keys, *args))


def release(client: redis.Redis, prefix: str, source: str | bytes, until: float) -> int:
    """Bring back what is due of one list; how many messages.

    Raises:
        redis.RedisError: it was not done, or nobody knows; doing it again is safe.
    """
    name = source.decode("utf-8", "surrogateescape") if isinstance(source, bytes) else source
    keys = parked.keys_of(prefix, name)
    return int(client.eval(parked.RELEASE, len(keys), *keys, until, parked.BATCH, name))


def _can_be_moved(request: Request) -> bool:
    """Whether it stands in ``unacked`` until its run: what was broadcast does not."""
    message = request.message
    return bool(
        isinstance(getattr(message, "sluiceway", None), (Taken, Take))
        and getattr(message.channel, "ack_emulation", False)
    )

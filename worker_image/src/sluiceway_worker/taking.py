"""Takes messages for one kombu channel by script: each is on the books from its take on.

Nothing is ever on its way to this worker: a message is asked for only while a slot is
free, and the answer is read at once. How it waits where there is none: see ``waiting``.

It answers to the same questions as ``intake.Intake``, which does this on kombu's way.
Everything here runs on the consumer's thread, but for ``closed``, which anyone may set.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import redis
from celery.utils.log import get_logger
from celery.worker import state
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from sluiceway_worker import takes, waiting, wire, words
from sluiceway_worker.attentive import ANSWER_S
from sluiceway_worker.fate import Death
from sluiceway_worker.finished import came_back, can_be_told, published_at
from sluiceway_worker.intake import BROKER_ERRORS
from sluiceway_worker.recovery import Place, recover, recovery
from sluiceway_worker.suspects import Suspects
from sluiceway_worker.takes import Script, Take, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluiceway_worker.finished import Asks
    from sluiceway_worker.identity import Identity

logger = get_logger(__name__)

_TURN_S = 0.01
_TURN = 16
"""At most for so long, and so many messages, the event loop waits for its other duties."""

_BATCH = 500


class Letter(dict):  # type: ignore[type-arg]
    """A message as kombu passes it on inside, and the take that brought it."""

    take: Take


class Taking:
    """The door of one channel that takes by script.

    Args:
        channel: the consumer's channel (``transport.TakingChannel``), before it consumes.
        identity: in whose name messages are held.
        sure: whether this worker has been heard without a gap, so that what it knows of its
            messages is true; while it is not, nothing is taken.
        failed: called in the handling of an error of our own; kombu takes from then on.
        finished: says of what comes back whether it is known to have succeeded; it raises
            nothing and answers soon. None: nobody can say.
        before: the door of the connection before this one, where there was one.
    """

    owes = waiting = stuck = False
    """Nothing can be on its way: see ``intake.Intake``."""

    def __init__(
        self,
        channel: Any,
        identity: Identity,
        *,
        sure: Callable[[], bool],
        failed: Callable[[], None],
        finished: Asks | None = None,
        before: Any = None,
    ) -> None:
        self.channel = channel
        self.let_go = False
        """Set, from any thread, to have kombu take by itself."""
        self.over = False
        """Whether it does; what was taken before is acknowledged here as ever."""
        self._failed = failed
        self._finished = finished
        self.closed: bool = before.closed if before else False
        self.raw: redis.Redis = redis.Redis(connection_pool=channel.pool)
        """A client without kombu's key prefixing, on the channel's own connections."""
        self.outstanding = False
        """Whether the answer to a take is being read: a greenlet may look in between."""
        self._identity = identity
        self.incarnation = identity.incarnation
        self.held: dict[str, None] = before.held if isinstance(before, Taking) else {}
        """The tags of all that was taken, over this connection or an earlier one, and was
        neither acknowledged nor given back."""
        self._connections: int = before._connections + 1 if isinstance(before, Taking) else 0
        self._about_me = identity.holder
        self._holder = self._about_me.to_text(self._connections)
        self._sure = sure
        self._number: int = before._number if isinstance(before, Taking) else 0
        self._suspects: Suspects = (
            before._suspects
            if isinstance(before, Taking)
            else Suspects(lambda: bool(state.reserved_requests))
        )
        self._proven: bool = isinstance(before, Taking) and before._proven
        prefix = channel.global_keyprefix
        self._mine = [*self.unacked_keys(), wire.held_key(prefix, self.incarnation)]
        self.idle = waiting.Waiting(channel, self.raw, self.incarnation, self._wants)
        """How it waits while there is nothing to take."""
        self._known_queues: tuple[str, ...] = ()
        self._lists: list[str] = []
        self._tails: list[bytes] = []

    # What ``drain``, ``giveback`` and ``holding`` ask and tell a door.

    def key(self, name: str) -> str:
        """The real key of what kombu calls ``name``."""
        return f"{self.channel.global_keyprefix}{name}"

    def unacked_keys(self) -> list[str]:
        """The real keys of kombu's hash of held messages, and of its index."""
        return [self.key(self.channel.unacked_key), self.key(self.channel.unacked_index_key)]

    def settle(self, patience_s: float) -> bool:
        """Nothing is on its way; see ``intake.Intake.settle``."""
        return not self.outstanding

    def hasten(self) -> None:
        """Nothing is to be hastened."""

    def pay(self) -> None:
        """Nothing is owed."""

    def give_up_silence(self) -> None:
        """Whoever waits looks to that by itself."""

    def give_back(self, pipe: Any, take: Take) -> None:
        """Put on a pipeline that a message goes back to the head of its list."""
        keys = [*self._mine, self.key(take.source)]
        pipe.eval(takes.GIVE_BACK_TAKE.source, len(keys), *keys, take.tag, take.tail)

    def acknowledge(self, tag: str) -> None:
        """Take a message off the books, if it is still mine; may be repeated."""
        run(self.raw, takes.ACKNOWLEDGE_TAKE, self._mine, tag)
        self.held.pop(tag, None)

    def died_in_pool(self, tag: str, reason: str) -> None:
        """A process of the pool died of a message, maybe: it goes back with that told in it.

        Raises:
            redis.RedisError: the connection failed. Doing it again is safe.
        """
        channel, identity = self.channel, self._identity
        recover(
            self.raw,
            recovery(
                Place(channel.global_keyprefix, channel.unacked_key, channel.unacked_index_key),
                Death(incarnation=self.incarnation, at=time(), reason=reason, blamed=True),
                fleet=identity.fleet,
                max_deliveries=identity.max_deliveries,
                only=[tag],
            ),
        )
        self.held.pop(tag, None)

    def forget(self, tag: str) -> None:
        """A message is no longer held in my name, by another's doing."""
        self.held.pop(tag, None)
        self.raw.hdel(self._mine[2], tag)

    def square(self) -> int:
        """Give back what Redis has in my name and I do not know; how many messages.

        Raises:
            redis.RedisError: the broker is in trouble. Doing it again is safe.
        """
        prefix = self.channel.global_keyprefix
        # A greenlet may be taking at this very moment: that answer is yet to come.
        last = takes.tag_of(self.incarnation, self._number - self.outstanding)
        keys = [*self._mine, wire.holders_key(prefix)]
        about_me = (self.incarnation, self._holder)
        moved = int(run(self.raw, takes.SETTLE, keys, prefix, last, *about_me, *self.held))
        if moved:
            logger.info("Gave %d messages back whose take was never answered", moved)
        return moved

    def crowds(self, tag: str) -> bool:
        """Whether this message may not start here now, because another is to run alone."""
        return self._suspects.alone(self.held) not in ("", tag)

    def renew(self, client: redis.Redis) -> None:
        """Keep the visibility timeout from passing over what is held; from any thread."""
        tags = list(self.held)
        for start in range(0, len(tags), _BATCH):
            run(client, takes.RENEW, self._mine[1:2], time(), *tags[start : start + _BATCH])

    def goodbye(self) -> None:
        """The worker ends: it is no holder any more, unless something is left."""
        holders = wire.holders_key(self.channel.global_keyprefix)
        keys = [self._mine[2], holders, self._mine[0]]
        run(self.raw, takes.GOODBYE, keys, self.incarnation)

    def refusal(self) -> str | None:
        """Why the server will not have messages taken by script; None: it will, or did."""
        if self._proven:
            return None
        prefix = self.channel.global_keyprefix
        scratch = wire.held_key(prefix, f"{self.incarnation}:probe")
        keys = [
            *self._mine,
            *(scratch, f"{scratch}:words", f"{scratch}:lease"),
            *(wire.workers_key(prefix), wire.holders_key(prefix)),
        ]
        try:
            run(self.raw, takes.PROBE, keys, f"{self.incarnation}:probe")
        except redis.ResponseError as exc:
            return str(exc)
        except BROKER_ERRORS:
            return None  # The connection is lost: the next one will be asked.
        self._proven = True
        return None

    # Told by the channel and its poller.

    def turn(self, *, loops: bool) -> int:
        """Take while a slot is free and something is there; else see to waiting.

        Args:
            loops: whether an event loop calls, which is to turn again at once if there may
                be more.

        Returns:
            How many messages were delivered.
        """
        delivered = 0
        ends = monotonic() + _TURN_S
        while (message := self._next(delivered, ends, loops=loops)) is not None:
            self._deliver(*message)
            delivered += 1
        return delivered

    def hand_over(self) -> None:
        """kombu takes from here on; on the consumer's thread, before its first ``BRPOP``."""
        self.over = True
        try:
            self.idle.step_down()
            self.square()
        except Exception as exc:
            logger.info("The visibility timeout brings back what is not known here: %s", exc)
        self.idle.end()

    def close(self) -> None:
        """The channel is being closed."""
        self.closed = True
        self.idle.close()

    # Taking.

    def _next(self, delivered: int, ends: float, *, loops: bool) -> tuple[str, Take, bytes] | None:
        """The next message of a turn; None: the turn is over."""
        try:
            while self._wants():
                self.idle.wake()
                if self.idle.goes_on():
                    return None
                if delivered and not loops:
                    return None  # One at a time, as kombu's ``drain_events`` promises.
                if delivered >= _TURN or monotonic() >= ends:
                    if loops:
                        self.idle.come_again()
                    return None
                message = self._take()
                if message is not None:
                    _, take, body = message
                    self._suspects.took(take.tag, body)
                    return message
            self.idle.rest()
        except (*BROKER_ERRORS, *self.channel.connection_errors):
            raise
        except Exception:
            self._failed()
        return None

    def _wants(self) -> bool:
        channel = self.channel
        return bool(
            not (self.closed or self.let_go)
            and not self.outstanding
            and channel.active_queues
            and channel.qos.can_consume()
            and self._sure()
            and self._suspects.may_take(self.held)
        )

    def _take(self) -> tuple[str, Take, bytes] | None:
        """The next message with its queue; None: there is none, and the wait has begun."""
        channel = self.channel
        queues = tuple(channel._queue_cycle.consume(len(channel.active_queues)))
        self._learn(queues)
        self._number += 1
        tag = takes.tag_of(self.incarnation, self._number)
        prefix = channel.global_keyprefix
        keys = [
            *self._mine,
            *(wire.holders_key(prefix), self.idle.words, self.idle.lease, wire.workers_key(prefix)),
            *self._lists,
        ]
        self.outstanding = True
        try:
            number, *rest = self._ask(
                takes.TAKE,
                keys,
                *(tag, time(), self.incarnation, self._holder),
                *(waiting.WATCH_MS, words.LIE_MS, words.MOST, len(prefix.encode())),
                *(len(queues), self._suspects.unwanted(), *self._tails),
            )
            if number == -2:
                self._suspects.stand_aside()
                return None
            if number < 0:
                self.idle.begin(*rest)
                return None
            self.idle.took()
            source, queue = self._lists[number][len(prefix) :], queues[number % len(queues)]
            tail = len(self._tails[number % len(queues)])
            self.held[tag] = None
            return queue, Take(self._number, source, tag, tail), rest[0]
        finally:
            self.outstanding = False

    def _learn(self, queues: tuple[str, ...]) -> None:
        if queues == self._known_queues:
            return
        channel = self.channel
        self._known_queues = queues
        self._lists = [
            self.key(channel._q_for_pri(queue, step))
            for step in channel.priority_steps
            for queue in queues
        ]
        self._tails = [takes.tail_for(queue) for queue in queues]
        self.idle.for_lists(self._lists)
        # Not at each turn of several queues: the broker is told anew of a text that differs.
        if self._about_me.waits != self.idle.name:
            self._about_me = replace(self._about_me, waits=self.idle.name)
            self._holder = self._about_me.to_text(self._connections)

    def _deliver(self, queue: str, take: Take, body: bytes) -> None:
        channel = self.channel
        channel._queue_cycle.rotate(queue)
        try:
            letter = Letter(loads(bytes_to_str(body)))
            letter.take = take
            channel.Message(letter, channel=channel)
        except Exception:
            # kombu ends the worker over it and has lost it by then.
            logger.critical("Dropped what is no message, from %s: %.500r", queue, body)
            self.acknowledge(take.tag)
            return
        if self._had_succeeded(letter):
            logger.info("Task %s had succeeded already, and is not run again", _id_of(letter))
            # Celery never knows of it: should this not be heard, it goes back when it is settled.
            self.held.pop(take.tag, None)
            self.acknowledge(take.tag)
            return
        if queue in channel.no_ack_queues:
            self.acknowledge(take.tag)
        channel.connection._deliver(letter, queue)

    def _had_succeeded(self, letter: Letter) -> bool:
        """Whether this came back, and a result says that nothing of it is left to be done."""
        if self._finished is None or not came_back(letter):
            return False
        headers, task_id = letter["headers"], _id_of(letter)
        if not can_be_told(headers, letter.get("body")):
            return False
        return bool(task_id) and self._finished(task_id, published_at(headers))

    def _ask(self, script: Script, keys: list[str], *args: Any) -> Any:
        channel = self.channel
        connection = channel.connection.cycle.connection_of(channel)
        try:
            for command, name in (("EVALSHA", script.sha), ("EVAL", script.source)):
                # The take itself shows whether the connection is alive. redis-py's own look at
                # one that was idle would wait for its answer without end.
                connection.send_command(command, name, len(keys), *keys, *args, check_health=False)
                if connection._sock is not channel.connection.cycle.socket_of(channel):
                    # redis-py has connected anew by itself.
                    channel.connection.cycle.connection_of(channel)
                if not connection.can_read(timeout=ANSWER_S):
                    raise redis.TimeoutError(f"no answer within {ANSWER_S:.0f} s")
                try:
                    return connection.read_response()
                except redis.exceptions.NoScriptError:
                    continue
        except channel.connection_errors:
            connection.disconnect()
            raise
        raise redis.ResponseError("the server does not run the script it was given")


def _id_of(letter: Letter) -> str:
    task_id = letter["headers"].get("id")
    return task_id if isinstance(task_id, str) else ""

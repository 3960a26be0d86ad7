"""The door between a queue's list and this worker, and what is on its way through it.

kombu takes messages with ``BRPOP``. Its reply is not an instant: it is sent, waits in
the server up to a second, and may then lie in the worker's socket. kombu leaves it
there while the worker has no free slot, so a message published in that second is in
neither the list nor ``unacked`` until the longest task ends, and is gone if the
worker is killed. Closing the door therefore means three things at once:

* no further ``BRPOP`` is sent;
* what one on its way brings is pushed back at once, the same bytes to the same end of
  the same list, before anything else sees it;
* the wait is cut short (``CLIENT UNBLOCK``), so that it is over in a millisecond.

The consumers stay registered: what a user adds or cancels meanwhile by remote
control, and a restart of the consumer, need no second book-keeping, and opening the
door again is all that a recall takes.

An open door of a full worker does the second and third too (``settle``), and the door
of a channel that is being closed is closed: kombu reads an outstanding BRPOP before.

What was popped and cannot be written anywhere, because the connection is lost at that
moment, is owed: it is pushed back once, over this connection or a later one (``pay``).
Everything here runs on the consumer's thread, but for ``closed``, which anyone may set.
"""

from __future__ import annotations

from itertools import count
from queue import Empty
from time import monotonic, time
from typing import Any, NamedTuple
from uuid import uuid4

import redis
from celery.utils.log import get_logger

from sluiceway_worker import returns, wire
from sluiceway_worker.attentive import ANSWER_S

logger = get_logger(__name__)

BROKER_ERRORS = (redis.RedisError, OSError)


class UnknownTransportError(Exception):
    """This kombu does not take messages as the agent knows it: no drain is possible."""


class Taken(NamedTuple):
    """Where a held message came from; kept on the message as ``message.sluiceway``."""

    order: int
    """Counts up: the smaller, the longer it waits."""
    source: str
    """The list it was popped from, without the application's key prefix."""
    before: float
    after: float
    """Unix seconds just before and just after kombu wrote the score of this take into
    ``unacked_index``: what is between them there is ours."""


class Owed(NamedTuple):
    """A message that was popped, and is in our memory for certain and maybe in ``unacked``."""

    order: int
    source: str
    body: bytes
    tag: str = ""
    before: float | str = ""
    after: float | str = ""


class Intake:
    """Watches and closes the door of one kombu channel.

    Args:
        channel: the consumer's ``kombu.transport.redis.Channel``, before it consumes.
        before: the door of the connection before this one, where there was one.
    """

    def __init__(self, channel: Any, before: Intake | None = None) -> None:
        self.channel = channel
        self.closed: bool = before.closed if before else False
        self.let_go = False
        """Changes nothing here: an open door is as kombu has it."""
        self.raw: redis.Redis = redis.Redis(connection_pool=channel.pool)
        """A client without kombu's key prefixing, on the channel's own connections."""
        self._order: count[int] = before._order if before else count()
        self._life: str = before._life if before else uuid4().hex
        self._source, self._body = "", b""
        self._turning_back = False
        self._reading = False
        self._owed: list[Owed] = before._owed if before else []
        self._client_id: int | None = None
        self._client_sock: Any = None
        self._overdue_at = float("inf")
        self._attach()

    def key(self, name: str) -> str:
        """The real key of what kombu calls ``name``."""
        return f"{self.channel.global_keyprefix}{name}"

    def unacked_keys(self) -> list[str]:
        """The real keys of kombu's hash of held messages, and of its index."""
        return [self.key(self.channel.unacked_key), self.key(self.channel.unacked_index_key)]

    @property
    def owes(self) -> bool:
        """Whether a message that was popped could not be pushed back yet."""
        return bool(self._owed)

    @property
    def outstanding(self) -> bool:
        """Whether a message may be on its way to us that no list knows of."""
        return bool(self._owed) or bool(self.channel._in_poll)

    @property
    def waiting(self) -> bool:
        """Whether a ``BRPOP`` is out whose reply nobody is reading yet."""
        return bool(self.channel._in_poll) and not self._reading

    @property
    def stuck(self) -> bool:
        """Whether one is out while no slot is free: what it brings must not lie here."""
        return self.waiting and not self.channel.qos.can_consume()

    def settle(self, patience_s: float) -> bool:
        """End what is on its way, pushing back what it brings; whether nothing is left.

        Args:
            patience_s: how long to wait for the server's answer, at most.
        """
        self.pay()
        deadline = monotonic() + patience_s
        while self.waiting:
            self.hasten()
            if self._can_read(min(0.02, patience_s)):
                self._read_back()
            elif monotonic() >= deadline:
                break
        return not self.outstanding

    def hasten(self) -> None:
        """Let the server answer the waiting ``BRPOP`` now, with nothing if it has nothing.

        The server may get this before the BRPOP itself, so it is to be repeated. One
        that refuses it answers when the BRPOP's own timeout ends (a second).
        """
        if self._client_id is None:
            return
        try:
            self.raw.client_unblock(self._client_id)
        except redis.ResponseError as exc:
            logger.info("The broker refuses CLIENT UNBLOCK, draining takes up to 1 s more: %s", exc)
            self._client_id = None
        except BROKER_ERRORS:
            pass  # The consumer's own connection will notice, or the timeout ends it.

    def pay(self) -> None:
        """Push back what was popped. It is ours alone until it is pushed: try until it is."""
        while self._owed:
            owed = self._owed.pop(0)
            try:
                self.raw.eval(returns.PUSH_BACK_ONCE, *self.once(owed))
            except BROKER_ERRORS as exc:
                self._owed.insert(0, owed)
                logger.warning("Cannot give a message back yet, will try again: %s", exc)
                return

    def give_up_silence(self) -> None:
        """A server answers a waiting ``BRPOP`` within its timeout; one that does not is gone."""
        if self.waiting and monotonic() >= self._overdue_at and not self._can_read(0.0):
            logger.warning("No answer on the connection that waits for tasks: it is given up")
            self.channel.client.connection.disconnect()

    def goodbye(self) -> None:
        """The worker ends: kombu's way leaves nothing in its name."""

    def once(self, owed: Owed) -> list[Any]:
        """What ``returns.PUSH_BACK_ONCE`` is to be called with."""
        mark = wire.pushed_key(self.channel.global_keyprefix, f"{self._life}:{owed.order}")
        keys = [mark, *self.unacked_keys(), self.key(owed.source)]
        return [
            *(len(keys), *keys),
            *(owed.tag, owed.before, owed.after, owed.body, returns.PUSHED_TTL_MS),
        ]

    # How it is attached: five methods of kombu's channel, replaced on the instance.

    def _attach(self) -> None:
        channel, client, qos = self.channel, self.channel.client, self.channel.qos
        for owner, name in (
            (channel, "_brpop_start"),
            (channel, "_brpop_read"),
            (channel, "_in_poll"),
            (channel, "_pool"),
            (channel, "close"),
            (client, "parse_response"),
            (qos, "append"),
        ):
            if not hasattr(owner, name):
                raise UnknownTransportError(f"{type(owner).__name__} has no {name}")
        self._kombu_start = channel._brpop_start
        self._kombu_read = channel.handlers["BRPOP"]
        self._kombu_parse = client.parse_response
        self._kombu_append = qos.append
        self._kombu_close = channel.close
        channel._brpop_start = self._start
        channel.handlers["BRPOP"] = self._read
        client.parse_response = self._parse
        qos.append = self._append
        channel.close = self._close

    def _start(self, timeout: float | None = None) -> None:
        """Send a BRPOP, unless the door is closed."""
        if self.closed:
            return
        connection = self.channel.client.connection
        if connection._sock is not self._client_sock:
            self._client_id = _ask_client_id(connection)
            self._client_sock = connection._sock
        self._kombu_start(timeout)
        self._overdue_at = monotonic() + (timeout or self.channel.brpop_timeout) + ANSWER_S

    def _read(self, **options: Any) -> Any:
        """Read a reply; only one at a time, where greenlets could meet here.

        One may also have read what another was woken for, which would then wait for ever. But
        a lost connection is to be noticed though nothing is awaited.
        """
        if self._reading or not (self.channel._in_poll or self._can_read(0.0)):
            return None
        self._reading = True
        try:
            return self._kombu_read(**options)
        finally:
            self._reading = False

    def _parse(self, connection: Any, command: str, **options: Any) -> Any:
        """Every reply passes here first, however kombu came to read it."""
        reply = self._kombu_parse(connection, command, **options)
        if command != "BRPOP" or not reply:
            return reply
        source, body = reply
        name = source.decode() if isinstance(source, bytes) else source
        if self.closed or self._turning_back:
            self._owed.append(Owed(next(self._order), name, body))
            self.pay()
            return None  # To kombu: the BRPOP timed out.
        self._source, self._body = name, body
        return reply

    def _append(self, message: Any, delivery_tag: str) -> None:
        """kombu writes the message into ``unacked``: note whence it came."""
        order, before = next(self._order), time()
        try:
            self._kombu_append(message, delivery_tag)
        except BROKER_ERRORS:
            # Written or not? The connection is lost, and kombu forgets the message.
            self._owed.append(
                Owed(order, self._source, self._body, delivery_tag, before, after=time())
            )
            raise
        message.sluiceway = Taken(order, self._source, before, after=time())

    def _close(self) -> None:
        self.closed = True
        try:
            self._kombu_close()
        finally:
            # What still runs will be acknowledged through this channel or the next.
            self.channel._pool = self.raw.connection_pool

    def _read_back(self) -> None:
        self._turning_back = True
        try:
            self._read()
        except Empty:
            pass
        except BROKER_ERRORS:
            pass  # The connection is gone and with it the reply; kombu connects again.
        finally:
            self._turning_back = False

    def _can_read(self, timeout_s: float) -> bool:
        try:
            return bool(self.channel.client.connection.can_read(timeout=timeout_s))
        except BROKER_ERRORS:
            return True  # Broken: reading it says so to kombu.


def _ask_client_id(connection: Any) -> int | None:
    """The server's number for this idle connection; None where it may not be asked."""
    try:
        connection.send_command("CLIENT", "ID")
        return int(connection.read_response())
    except redis.ResponseError:
        return None

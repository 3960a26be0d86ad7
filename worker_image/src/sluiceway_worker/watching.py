"""Being told by the server that a list is no longer empty (``CLIENT TRACKING``).

The server remembers the keys that a connection has read and pushes one message when such
a key changes, once. Redis 6 and later do, over RESP3, which redis-py 5 and later speak.
Where it is refused nobody tells, and whoever watches has to look by itself.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import redis
from celery.utils.log import get_logger

from sluiceway_worker.intake import BROKER_ERRORS

logger = get_logger(__name__)

_ANSWER_S = 2.0
_TRY_AGAIN_S = 30.0


class Watch:
    """A connection of its own that hears of changes; made when it is first needed.

    Args:
        channel: the kombu channel to whose broker it connects, and whose poller listens.
    """

    def __init__(self, channel: Any) -> None:
        self.connection: Any = None
        self._channel = channel
        self._armed: tuple[str, ...] = ()
        self._not_before = 0.0

    def arm(self, lists: list[str]) -> bool | None:
        """Be told of the next change of any of these lists.

        Returns:
            Whether there is something in them already; None: nobody will tell.
        """
        if self._armed == tuple(sorted(lists)):
            return False
        if monotonic() < self._not_before:
            return None
        try:
            if self.connection is None:
                self._connect()
            there = int(self._ask("EXISTS", *lists)) > 0
        except (*BROKER_ERRORS, AttributeError, TypeError, ValueError) as exc:
            logger.info("The broker does not tell of new messages, they are looked for: %s", exc)
            self.close()
            self._not_before = monotonic() + _TRY_AGAIN_S
            return None
        self._armed = () if there else tuple(sorted(lists))
        # What came with the answer makes the socket readable no more.
        return self.hear() or there

    def hear(self) -> bool:
        """Read what the server said; whether it was of a change, or is the connection's end."""
        heard = False
        try:
            while self.connection is not None and self.connection.can_read(timeout=0):
                self.connection.read_response(push_request=True)
                heard = True
        except BROKER_ERRORS:
            self.close()
            return True
        if heard:
            self._armed = ()
        return heard

    def close(self) -> None:
        """Hang up; ``arm`` connects anew."""
        connection, self.connection = self.connection, None
        self._armed = ()
        if connection is None:
            return
        cycle = getattr(self._channel.connection, "cycle", None)
        if cycle is not None:
            cycle.leave(self._channel, self, "WATCH")
        connection.disconnect()

    def forked(self) -> None:
        """This is a child process now, with its parent's poller: only let go of the socket."""
        if self.connection is not None:
            self.connection.disconnect()
            self.connection = None

    def _connect(self) -> None:
        pool = self._channel._get_pool()
        pool.connection_kwargs["protocol"] = 3
        for name in ("socket_timeout", "socket_connect_timeout"):
            if name in pool.connection_kwargs:
                pool.connection_kwargs[name] = _ANSWER_S
        try:
            connection = pool.get_connection()
        except TypeError:
            # Before redis-py 5.3 it wants a word.
            connection = pool.get_connection("_")
        try:
            connection._parser.set_invalidation_push_handler(_passed_on)
            self.connection = connection
            self._ask("CLIENT", "TRACKING", "ON")
        except BaseException:
            self.connection = None
            connection.disconnect()
            raise
        self._channel.connection.cycle.join(self._channel, self, "WATCH")

    def _ask(self, *command: str) -> Any:
        connection = self.connection
        connection.send_command(*command, check_health=False)
        if not connection.can_read(timeout=_ANSWER_S):
            raise redis.TimeoutError("no answer on the connection that watches")
        return connection.read_response()


def _passed_on(push: Any) -> Any:
    return push

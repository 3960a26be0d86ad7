"""Connections that leave a server which does not lead any more, and wait for no answer without end.

One address may stand for whoever leads: a Service, a proxy, a cloud's name, Sentinel. When
another leads, the connections that stand need not be cut. The old one is a replica then and
refuses every write, or nobody answers on them. redis-py and kombu keep such a connection, and
what it refuses ends a Celery worker. Here it is a lost connection, which all can cope with.
"""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import redis
from kombu.transport import redis as redis_transport

from sluiceway_worker import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# kombu says that it is typed, and most of it is not.
kombu_redis: Any = redis_transport

ANSWER_S = wire.HEARTBEAT_TTL_MS / 1000
"""A server that does not answer for so long is gone, and an event loop waits no longer. It
would have to settle with its worker by then in any case."""

PUBLISHED_S = 3 * ANSWER_S
"""What is not confirmed for so long may be published once more. A server that lives should not
come so far: then it is there twice."""

NOT_HERE = {
    "READONLY": "it is a replica by now and takes no writes",
    "UNBLOCKED": "it has become a replica",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "CLUSTERDOWN": "its cluster is down",
}
"""What a server says that another may have to be asked in place of."""

FULL = "OOM"

NOT_NOW = {
    "MISCONF": "it cannot write to its disk and takes no writes until it can",
    "NOREPLICAS": "too few replicas follow it, and it takes no writes until they do",
    FULL: "its memory is full",
    "BUSY": "it is busy with a long script",
}
"""What it says that passes. A worker waits for that as for a lost connection; a publisher is
to hear of it."""

_BY_CLASS = {
    "ReadOnlyError": "READONLY",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "OutOfMemoryError": FULL,
}
"""redis-py takes the word off an answer that it has a class for."""

_WORD = re.compile(rf"(?:^|[\s-])({'|'.join([*NOT_HERE, *NOT_NOW])}) ")
"""Where it stands in others. Before Redis 7 it is inside the words of a script's error."""


def word_of(exc: BaseException) -> str:
    """The server's word for why it refuses, of those that are known here; else ""."""
    known = _BY_CLASS.get(type(exc).__name__)
    if known is not None:
        return known
    found = _WORD.search(str(exc))
    return found.group(1) if found else ""


def is_full(exc: BaseException) -> bool:
    """Whether the server refuses for want of memory; also where its connection was lost over it."""
    return word_of(exc.__cause__ or exc) == FULL


class Attentive:
    """Laid over a connection class of redis-py's: a refusal loses the connection."""

    refusals: Mapping[str, str] = NOT_HERE

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        connection: Any = super()
        try:
            return connection.read_response(*args, **kwargs)
        except redis.ResponseError as exc:
            why = self.refusals.get(word_of(exc))
            if why is None:
                raise
            self.disconnect()  # type: ignore[attr-defined]  # of the class below
            raise redis.ConnectionError(f"the broker refuses: {why} ({exc})") from exc


class _Patient(Attentive):
    """Also what passes is waited for with another connection."""

    refusals: Mapping[str, str] = {**NOT_HERE, **NOT_NOW}


def leave_replicas() -> None:
    """From now on, what this process publishes through kombu is not refused by an old primary
    for ever: the connection is lost, and kombu's own retry finds the new one."""
    for owner in (kombu_redis.Channel, getattr(kombu_redis, "SentinelChannel", None)):
        for name in ("connection_class", "connection_class_ssl"):
            below = vars(owner or object).get(name)
            if below is not None and not issubclass(below, Attentive):
                setattr(owner, name, _over(below, Attentive))


def wait_no_longer() -> None:
    """From now on nothing in this process waits for the broker's answer without end: not a task
    that publishes, nor Celery itself, which asks its neighbours when it has connected anew."""
    kombu_redis.Channel.socket_timeout = PUBLISHED_S
    kombu_redis.Channel.socket_connect_timeout = ANSWER_S


class AttentiveQoS(kombu_redis.QoS):
    """kombu's book-keeping; what it has to do beside it can wait until there is memory."""

    def restore_visible(self, *args: Any, **kwargs: Any) -> Any:
        with _while_full():
            return super().restore_visible(*args, **kwargs)


class AttentiveChannel(kombu_redis.Channel):
    """kombu's channel on such connections; it comes to be only where writes are taken."""

    QoS = AttentiveQoS
    # An application's transport options come before these.
    socket_timeout = ANSWER_S
    socket_connect_timeout = ANSWER_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            self._try_to_write()
        except BaseException:
            self.connection.cycle.discard(self)
            self._disconnect_pools()
            raise

    def _try_to_write(self) -> None:
        """So that Celery tries again as it does while there is no server, ever more rarely."""
        # Any other refusal is for whoever needs what is refused.
        with suppress(redis.ResponseError):
            self.client.hdel(self.unacked_key, "")

    def _queue_bind(self, *args: Any) -> Any:
        # Publishers write it down, too.
        with _while_full():
            return super()._queue_bind(*args)

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        params = super()._connparams(*args, **kwargs)
        params["connection_class"] = _over(params["connection_class"], _Patient)
        return params


def hang_up(channel: Any) -> None:
    """Have a channel find that its connection is lost; from any thread."""
    connection: Any = getattr(vars(channel).get("client"), "connection", None)
    # Its own thread may close it at this moment.
    with suppress(AttributeError, OSError):
        connection._sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def _while_full() -> Iterator[None]:
    """A server without memory refuses what is done here. Its messages must be worked off all
    the same, or it stays full."""
    try:
        yield
    except redis.ConnectionError as exc:
        if not is_full(exc):
            raise


def _over(below: type[Any], mixin: type[Attentive]) -> type[Any]:
    return type(below.__name__, (mixin, below), {})

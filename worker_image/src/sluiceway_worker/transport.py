"""kombu's Redis transport, whose channels can take messages by script.

A channel is kombu's own in everything until it is given a ``Taking``: from then on it
sends no ``BRPOP``, and what it takes bears the tag of its take. Publishing, broadcasts
and remote control, restoring what timed out: all that stays kombu's.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from kombu.transport import redis, virtual

from sluiceway_worker.attentive import AttentiveChannel, AttentiveQoS
from sluiceway_worker.nudge import Nudge
from sluiceway_worker.sockets import forget_errors
from sluiceway_worker.taking import Letter

if TYPE_CHECKING:
    from sluiceway_worker.taking import Taking

# kombu says that it is typed, and most of it is not.
kombu_redis: Any = redis
kombu_virtual: Any = virtual

_RESTORE_S = 1.0
"""Without an event loop kombu looks for what timed out after every empty poll; not sooner."""

NEEDS = {
    kombu_redis.Channel: (
        "_brpop_start",
        "_get_pool",
        "_q_for_pri",
        "_after_fork",
        "_connparams",
        "_queue_bind",
    ),
    kombu_redis.MultiChannelPoller: (
        *("_register", "_register_BRPOP", "_client_registered", "_unregister"),
    ),
    kombu_redis.QoS: ("restore_by_tag", "restore_visible"),
}
"""What the subclasses here rest on; a kombu without them keeps its own transport."""


class Message(kombu_virtual.Message):
    """kombu's message; one that was taken by script is known by the tag of its take."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        super().__init__(payload, channel=channel, **kwargs)
        if isinstance(payload, Letter):
            self.sluiceway = payload.take
            self.delivery_tag = payload.take.tag


class QoS(AttentiveQoS):
    """kombu's book-keeping; of what was taken by script the script has kept the books."""

    def append(self, message: Any, delivery_tag: str) -> None:
        if self._is_taken(delivery_tag):
            kombu_virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if self._is_taken(delivery_tag):
            self.channel.taking.acknowledge(delivery_tag)
            kombu_virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        lost = getattr(self._delivered.get(delivery_tag), "lost", "")
        if requeue and lost and self._is_taken(delivery_tag):
            self.channel.taking.died_in_pool(delivery_tag, lost)
            virtual.QoS.ack(self, delivery_tag)
        elif requeue or not self._is_taken(delivery_tag):
            super().reject(delivery_tag, requeue=requeue)
        else:
            self.ack(delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        super().restore_by_tag(tag, client=client, leftmost=leftmost)
        name = tag.decode() if isinstance(tag, bytes) else tag
        if self._is_taken(name):
            self.channel.taking.forget(name)

    def _is_taken(self, tag: str) -> bool:
        taking = getattr(self.channel, "taking", None)
        return taking is not None and str(tag).startswith(taking.incarnation)


class TakingChannel(AttentiveChannel):
    """kombu's channel, and how it takes messages if not by ``BRPOP``."""

    QoS = QoS
    Message = Message
    taking: Taking | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.no_ack_queues: set[str] = set()
        super().__init__(*args, **kwargs)

    def take_by(self, taking: Taking) -> None:
        """Take by script from now on. Nothing may have been consumed before."""
        self.taking = taking
        self.handlers["TAKE"] = taking.idle.readable
        self.handlers["WATCH"] = taking.idle.told

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        if no_ack:
            self.no_ack_queues.add(queue)
        else:
            self.no_ack_queues.discard(queue)
        done = super().basic_consume(queue, no_ack, *args, **kwargs)
        if self.taking is not None and not self.taking.over:
            self.taking.idle.queues_changed()
        return done

    def _basic_cancel(self, consumer_tag: str) -> Any:
        done = super()._basic_cancel(consumer_tag)
        if self.taking is not None and not self.taking.over:
            self.taking.idle.queues_changed()
        return done

    def close(self) -> None:
        if self.taking is not None and not self.taking.over:
            self.taking.close()
        super().close()
        if self.taking is not None:
            # What still runs will be acknowledged through this channel or the next.
            self._pool = self.taking.raw.connection_pool

    def _after_fork(self) -> None:
        if self.taking is not None:
            self.taking.idle.forked()
        super()._after_fork()


class Poller(kombu_redis.MultiChannelPoller):
    """kombu's poller, which also turns the channels that take by script."""

    loop: Any = None
    _nudge: Nudge | None = None

    def __init__(self) -> None:
        super().__init__()
        self._turned = False
        self._restored_at = float("-inf")

    # Told by kombu.

    def on_poll_start(self) -> None:
        for channel in self._takers():
            if channel.taking.let_go:
                channel.taking.hand_over()
                self.leave(channel, channel.client, "TAKE")
        super().on_poll_start()
        if not self._turned and self._turn(loops=True) and self._nudge is not None:
            self._nudge()

    def on_readable(self, fileno: int) -> Any:
        channel, kind = self._fd_to_chan.get(fileno, (None, ""))
        if kind in ("TAKE", "WATCH"):
            # Also while nothing may be consumed: it is no message.
            return channel.handlers[kind]()
        return super().on_readable(fileno)

    def close(self) -> None:
        super().close()
        if self._nudge is not None:
            self._nudge.close()
            self._nudge = None

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        if self._turn(loops=False):
            return None
        for channel in self._takers():
            pause_s = channel.taking.idle.pause_s()
            if pause_s is not None:
                timeout = pause_s if timeout is None else min(timeout, pause_s)
        self._turned = True
        try:
            return super().get(callback, timeout)
        finally:
            self._turned = False

    def maybe_restore_messages(self) -> Any:
        if self.loop is None and any(self._takers()):
            if monotonic() - self._restored_at < _RESTORE_S:
                return None
            self._restored_at = monotonic()
        return super().maybe_restore_messages()

    def _register(self, channel: Any, client: Any, kind: str) -> None:
        super()._register(channel, client, kind)
        forget_errors(client.connection._sock)

    def _register_BRPOP(self, channel: Any) -> None:  # noqa: N802 - kombu's name
        if not _takes(channel):
            super()._register_BRPOP(channel)

    # Asked by a taking.

    def connection_of(self, channel: Any) -> Any:
        """The connection that a channel takes over, connected and listened to."""
        client = channel.client
        connected = self._client_registered(channel, client, "TAKE")
        if not connected or client.connection._sock is not self.socket_of(channel):
            channel._in_poll = None
            self.join(channel, client, "TAKE")
        return client.connection

    def socket_of(self, channel: Any) -> Any:
        """The socket that is listened to for a channel's takes."""
        return self._chan_to_sock.get((channel, channel.client, "TAKE"))

    def join(self, channel: Any, client: Any, kind: str) -> None:
        """Listen to the connection of ``client`` for this channel."""
        ident = (channel, client, kind)
        if ident in self._chan_to_sock:
            self.leave(*ident)
        self._register(*ident)

    def leave(self, channel: Any, client: Any, kind: str) -> None:
        """Listen to it no more."""
        self._chan_to_sock.pop((channel, client, kind), None)
        for fd in [fd for fd, known in self._fd_to_chan.items() if known == (channel, kind)]:
            del self._fd_to_chan[fd]
            # A closed socket has left by itself.
            with suppress(KeyError, ValueError, OSError):
                self._unregister_from_poll(fd)

    def turn_in(self, loop: Any) -> None:
        """An event loop turns the channels from now on."""
        self.loop = loop
        if self._nudge is not None:
            self._nudge.close()
        self._nudge = Nudge(loop)

    def look_after(self, seconds: float) -> Any:
        """Have an event loop turn after so long at the latest.

        Returns:
            Its timer, which is to be cancelled when it is of no use any more: the loop serves
            ten in a turn, and others wait behind them. None: no event loop turns this.
        """
        return None if self.loop is None else self.loop.call_later(seconds, _turn_over)

    def _takers(self) -> list[Any]:
        return [channel for channel in self._channels if _takes(channel)]

    def _turn(self, *, loops: bool) -> int:
        return sum(channel.taking.turn(loops=loops) for channel in self._takers())


class TransportMixin:
    """What makes a Redis transport of kombu's one that can take by script."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        self.cycle.turn_in(loop)
        super().register_with_event_loop(connection, loop)  # type: ignore[misc]


@cache
def transport_for(kombus: type[Any], *, taking: bool = True) -> type[Any]:
    """A transport of kombu's, such as that for Sentinel, with attentive connections.

    Whatever is not for Redis is left as it is.

    Args:
        taking: whether its channels are to be able to take by script.
    """
    if not issubclass(kombus, kombu_redis.Transport):
        return kombus
    channel: type[Any] = TakingChannel if taking else AttentiveChannel
    if not issubclass(channel, kombus.Channel):
        channel = type(channel.__name__, (channel, kombus.Channel), {})
    bases = (TransportMixin, kombus) if taking else (kombus,)
    return type(kombus.__name__, bases, {"Channel": channel})


def can_be_made() -> bool:
    """Whether this kombu has all that the subclasses here rest on."""
    return all(hasattr(owner, name) for owner, names in NEEDS.items() for name in names)


def _takes(channel: Any) -> bool:
    """Whether it takes by script; kombu's poller may have other channels, too."""
    taking = getattr(channel, "taking", None)
    return taking is not None and not taking.over


def _turn_over() -> None:
    """Nothing: the loop turns for it."""

"""How the idle workers of the same lists wait for the next message, at little cost.

A script that takes cannot wait. So of all the idle workers of the same lists one *watches*
(it has a lease in Redis, and the server tells it of a change, see ``watching``); the others
sleep at the server until they are given a *word*, by ``BLPOP`` on a list of their own that
holds no messages. A watcher that takes, goes or fills up gives the word to one of them, and so
does every take that leaves something behind. A word, like a watcher, may get lost with its
worker: whoever sleeps looks by itself after a few seconds.

Everything here runs on the consumer's thread.
"""

from __future__ import annotations

import hashlib
import random
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import redis

from sluiceway_worker import takes, wire, words
from sluiceway_worker.attentive import ANSWER_S
from sluiceway_worker.intake import BROKER_ERRORS
from sluiceway_worker.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

WATCH_MS = 4000
"""A watch ends by itself after so long, unless it is renewed."""

_LOOK_S = 1.0
"""A watcher looks, and renews its watch, at least this often."""

_POLL_S = 0.05
"""As often does one look whom the server does not tell of changes. It is one of all."""

_FULL_S = 0.1
"""Without an event loop nobody tells of a slot that is free again: look so often."""

_SLEEP_S = (1, 15)
_LOOKS_PER_S = 15
"""Those who sleep look so rarely that they look so often together, within these bounds in
seconds: as long as one of them lives, a message does not wait for long."""


class Waiting:
    """The wait of one channel.

    Args:
        channel: the consumer's, which takes by script.
        raw: a client without kombu's key prefixing, on the channel's own connections.
        incarnation: in whose name it watches.
        wants: whether a message would be taken now.
    """

    def __init__(
        self, channel: Any, raw: redis.Redis, incarnation: str, wants: Callable[[], bool]
    ) -> None:
        self._channel = channel
        self._raw = raw
        self._incarnation = incarnation
        self._wants = wants
        self._watch = Watch(channel)
        self._lists: list[str] = []
        self.name = ""
        """A short name for the lists, which all who wait for them find."""
        self.words, self.lease = "", ""
        """The keys of the words, and of the watcher's lease, of those who wait for these lists."""
        self.watches = False
        """Whether it is the one that watches."""
        self._look_at = 0.0
        self._turn: Any = None
        """The event loop's timer for the next look."""
        self._in_vain = False
        """The last look found nothing, though the server had told of something."""
        self._overdue_at = 0.0
        self._slept_in = False

    # Told by whoever takes.

    def for_lists(self, lists: list[str]) -> None:
        """Wait for these from now on; with all who wait for them, in whatever order."""
        self.name = hashlib.sha1("\n".join(sorted(lists)).encode()).hexdigest()[:12]
        prefix = self._channel.global_keyprefix
        self._lists = lists
        self.words = wire.words_key(prefix, self.name)
        self.lease = wire.watch_key(prefix, self.name)

    def goes_on(self) -> bool:
        """Whether there is nothing to be looked for yet.

        Raises:
            redis.TimeoutError: the answer is long overdue; the connection is given up.
        """
        if self._channel._in_poll:
            if monotonic() >= self._overdue_at:
                self._hang_up()
                raise redis.TimeoutError("no answer on the connection that sleeps")
            return True
        return self.watches and monotonic() < self._look_at

    def begin(self, watches: int, workers: int = 0) -> None:
        """Nothing is there: wait for it, as the script that looked has answered."""
        channel = self._channel
        self.watches = bool(watches)
        if watches:
            heard = self._watch.arm(self._lists)
            rest_s = _LOOK_S if heard is False else _POLL_S * random.uniform(0.7, 1.3)
            if heard and not self._in_vain:
                rest_s = 0.0
            # Again and again? Then the two connections lead to different servers, as while one
            # takes the other's place.
            self._in_vain = bool(heard)
            self._look_at = monotonic() + rest_s
            if self._turn is not None:
                self._turn.cancel()
            self._turn = channel.connection.cycle.look_after(rest_s)
            return
        least, most = _SLEEP_S
        sleep_s = min(most, max(least, workers // _LOOKS_PER_S)) + random.randrange(2)
        self._send("BLPOP", self.words, sleep_s, within_s=sleep_s)

    def took(self) -> None:
        """Something was there. The script that takes has given the watch up."""
        self.watches = self._in_vain = False

    def rest(self) -> None:
        """Nothing is wanted for a while: let another watch."""
        self._slept_in = True
        self.step_down()

    def wake(self) -> None:
        """Something is wanted again; what the others were told meanwhile may be missed."""
        if self._slept_in:
            self._slept_in = False
            if self._channel._in_poll:
                self._hang_up()

    def come_again(self) -> None:
        """Have the event loop turn at once: there is soon something to read."""
        self._send("PING")

    def step_down(self) -> None:
        """Watch no more, and have another come."""
        if self.watches:
            self.watches = False
            self._tell("")

    def end(self) -> None:
        """Wait no more, for good."""
        self._watch.close()
        if self._channel.client.connection is not None:
            self._hang_up()

    # Told by the channel and its poller.

    def readable(self) -> None:
        """The connection of the takes has an answer for who sleeps, or is gone."""
        channel = self._channel
        connection = channel.client.connection
        asleep, word = channel._in_poll, None
        try:
            if asleep or connection.can_read(timeout=0):
                word = connection.read_response()
        except channel.connection_errors:
            connection.disconnect()
            raise
        finally:
            channel._in_poll = None
            flush = getattr(channel, "_flush_brpop_reauth", None)
            if flush is not None:
                flush()
        if word and word not in (b"PONG", "PONG") and not self._wants():
            self._tell("1")

    def told(self) -> None:
        """The connection that watches has something to say."""
        if self._watch.hear():
            self._look_at = 0.0

    def pause_s(self) -> float | None:
        """How long nothing needs to be done unless something is heard; None: for ever."""
        if self.watches:
            return max(0.0, self._look_at - monotonic())
        return None if self._channel._in_poll else _FULL_S

    def queues_changed(self) -> None:
        """A queue was added or cancelled: who waits is to wait for others."""
        self.step_down()
        if self._channel._in_poll:
            self._hang_up()

    def close(self) -> None:
        """The channel is being closed."""
        connection = self._channel.client.connection
        if connection is not None and connection._sock is not None:
            # Where that fails, the watch ends by itself.
            with suppress(*BROKER_ERRORS):
                self.step_down()
        self._watch.close()
        if self._channel._in_poll:
            self._hang_up()

    def forked(self) -> None:
        """This is a child process now: the connection is its parent's."""
        self._watch.forked()

    def _send(self, *command: Any, within_s: float = 0.0) -> None:
        """What will be answered, within so long, when it is time to look again."""
        channel = self._channel
        connection = channel.connection.cycle.connection_of(channel)
        connection.send_command(*command, check_health=False)
        channel._in_poll = connection
        channel._brpop_sent_at = monotonic()
        # Nobody hears of a connection that is cut without a word.
        self._overdue_at = monotonic() + within_s + ANSWER_S

    def _tell(self, passed_on: str) -> None:
        """Have another come, because this one goes or cannot use the word that it was given."""
        keys, name = [self.words, self.lease], self._incarnation
        takes.run(self._raw, takes.STEP_DOWN, keys, name, words.LIE_MS, words.MOST, passed_on)

    def _hang_up(self) -> None:
        """Sleep no more. A word that comes at this moment is lost, and is not needed for long."""
        self._channel.client.connection.disconnect()
        self._channel._in_poll = None

"""The conversation that makes a server say «this queue changed», without its I/O.

``CLIENT TRACKING`` remembers the keys that a connection has read and pushes one
message when such a key changes, once. So a queue is *armed* by reading its keys,
and armed anew after each push, at most every 50 ms per broker: on a busy queue
read, push, read would spin. A change is told only after the queue is armed again:
whoever reads the queue then has either seen a later message or will be told of it.

``due`` says what to send, ``pushed`` and ``replied`` take what came, ``changed``
what there is to tell. The clock is an argument, so all of it is tried in tests
without waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal

from sluiceway.broker.reading import BrokerQueue
from sluiceway.broker.scripts import Command

ARM_EVERY_S = 0.05
PING_AFTER_S = 5.0
"""A connection that only listens looks the same alive and dead."""
ANSWER_WITHIN_S = 2.0


class Tracking:
    """One connection's state of arming. Times are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        """A fresh connection: nothing is armed."""
        self.refused: dict[BrokerQueue, str] = {}
        """Queues whose keys may not be read, with the server's words."""
        self._owner: dict[bytes, BrokerQueue] = {}
        self._wanted: frozenset[BrokerQueue] = frozenset()
        self._to_arm: set[BrokerQueue] = set()
        self._changed: set[BrokerQueue] = set()
        self._pending: deque[BrokerQueue | Literal["ping"]] = deque()
        self._not_before = now
        self._heard_at = now
        self._asked_at = now

    def want(self, queues: frozenset[BrokerQueue]) -> None:
        """Say which queues should wake. One that is not wanted any more is not armed again."""
        # Asked after each thing that the server says; to compare thousands takes its time.
        if queues is self._wanted or queues == self._wanted:
            return
        new, old = queues - self._wanted, self._wanted - queues
        self._to_arm |= new
        self._to_arm -= old
        self._wanted = queues
        for queue in old:
            for key in queue.list_keys():
                self._owner.pop(key.encode(), None)
        for queue in new:
            self._owner |= {key.encode(): queue for key in queue.list_keys()}

    def due(self, now: float) -> list[Command]:
        """The commands to send now; each will be answered by one ``replied``, in order."""
        commands: list[Command] = []
        if self._to_arm and now >= self._not_before:
            self._not_before = now + ARM_EVERY_S
            for queue in self._to_arm:
                # One command for the keys of a queue: they share a refusal, and
                # EXISTS reads a key of any type.
                commands.append(("EXISTS", *queue.list_keys()))
                self._pending.append(queue)
            self._to_arm = set()
        elif not self._pending and now >= self._heard_at + PING_AFTER_S:
            commands.append(("PING",))
            self._pending.append("ping")
        if commands:
            self._asked_at = now
        return commands

    def next_at(self) -> float:
        """When ``due`` or ``lost`` will have something new to say if nothing comes in."""
        if self._to_arm:
            return self._not_before
        if self._pending:
            return max(self._asked_at, self._heard_at) + ANSWER_WITHIN_S
        return self._heard_at + PING_AFTER_S

    def lost(self, now: float) -> bool:
        """Whether an answer is so late that the connection is to be given up."""
        return bool(self._pending) and (
            now >= max(self._asked_at, self._heard_at) + ANSWER_WITHIN_S
        )

    def pushed(self, keys: list[bytes] | None, now: float) -> None:
        """The server says that keys changed; None means all of them (FLUSHALL)."""
        self._heard_at = now
        if keys is None:
            self._to_arm |= self._wanted
            self._changed |= self._wanted
            return
        self._to_arm |= {self._owner[key] for key in keys if key in self._owner}

    def replied(self, reply: int | bytes | Exception, now: float) -> None:
        """The next answer: to EXISTS, how many of the keys are not empty.

        A queue that is empty when it is armed needs nobody: it was taken by a worker
        that exists, or was never filled.
        """
        self._heard_at = now
        asked = self._pending.popleft()
        if asked == "ping":
            # A permission may have been granted meanwhile.
            self._to_arm |= self.refused.keys() & self._wanted
            return
        if asked not in self._wanted:
            return
        if isinstance(reply, Exception):
            self.refused[asked] = str(reply)
            return
        self.refused.pop(asked, None)
        if reply != 0:
            self._changed.add(asked)

    @property
    def settled(self) -> bool:
        """Nothing is being armed: every wanted queue that may be read would wake."""
        return not self._to_arm and not self._pending

    def changed(self) -> frozenset[BrokerQueue]:
        """The queues to look at now; each is told once."""
        found, self._changed = frozenset(self._changed), set()
        return found

    def problems(self) -> Mapping[BrokerQueue, str]:
        """Why some of the wanted queues cannot wake."""
        return {queue: why for queue, why in self.refused.items() if queue in self._wanted}

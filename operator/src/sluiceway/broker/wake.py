"""Being woken by a broker when a watched queue changes, in place of asking it often.

A connection of its own, kept open by one task: it arms queues, listens, and calls
back. Where the server refuses (a proxy, a missing permission, Redis before 6) the
reason is kept, and whoever waits polls instead. ``tracking`` holds the rules; here
are only the connection and the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis import exceptions as client
from redis.asyncio.connection import AbstractConnection

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.connection import FIRST_PAUSE_S, LONGEST_PAUSE_S
from sluiceway.broker.dial import dial
from sluiceway.broker.errors import sentence
from sluiceway.broker.reading import BrokerQueue
from sluiceway.broker.scripts import Command
from sluiceway.broker.tracking import Tracking

REFUSED_PAUSE_S = 60.0
"""A server that does not know or permit tracking is asked again after this long."""

SESSION_S = 300.0
"""So old a connection is replaced: one to a server that the address does not lead to any more
stands as long as nobody cuts it, and hears of nothing."""


class RefusedError(Exception):
    """The server answers, and will not push."""


class LostError(OSError):
    """The connection stands, and nobody answers on it."""


class Waker:
    """Calls back when a queue that is armed at one broker changes."""

    def __init__(
        self,
        address: BrokerAddress,
        on_change: Callable[[frozenset[BrokerQueue]], None],
        *,
        timeout_s: float = 2.0,
        session_s: float = SESSION_S,
    ) -> None:
        """Nothing is connected before ``start``.

        Args:
            on_change: called in the event loop with the queues to look at now; with
                none of them when the connection is gone.
            session_s: after so long the connection is replaced by a new one.
        """
        self.address = address
        self.problem: str | None = f"broker {address}: not connected yet"
        """Why nothing will wake at the moment; None while it will."""
        self.tried = asyncio.Event()
        """Set once the first connection stands or has failed."""
        self._on_change = on_change
        self._timeout_s = timeout_s
        self._session_s = session_s
        self._wanted: frozenset[BrokerQueue] = frozenset()
        self._tracking: Tracking | None = None
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def arm(self, queues: frozenset[BrokerQueue]) -> None:
        """Say which queues should wake from now on, in place of those before."""
        if queues != self._wanted:
            self._wanted = queues
            self._inbox.put_nowait(_LOOK_AGAIN)

    def problems(self) -> Mapping[BrokerQueue, str]:
        """Armed queues that cannot wake though the others can, and why."""
        return self._tracking.problems() if self._tracking else {}

    def start(self) -> None:
        """Begin, in a task of the running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"wake {self.address}")

    async def close(self) -> None:
        """End the task and hang up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._session()
            except Exception as exc:
                # Whatever ended it, a defect of ours too: say so, poll, try again. A
                # connection that had woken before comes back at once.
                failures = 0 if self.problem is None else failures + 1
                refused = isinstance(exc, RefusedError)
                self.problem = str(exc) if refused else sentence(exc, self.address)
                self._tracking = None
                self.tried.set()
                self._on_change(frozenset())
                backoff = min(FIRST_PAUSE_S * 2 ** min(failures, 8), LONGEST_PAUSE_S)
                await asyncio.sleep(REFUSED_PAUSE_S if refused else backoff)

    async def _session(self) -> None:
        connection = await self._dial()
        self._inbox = asyncio.Queue()
        listener = asyncio.create_task(self._listen(connection))
        try:
            await self._converse(connection)
        finally:
            listener.cancel()
            try:
                # Not «await listener»: its CancelledError could not be told from ours.
                await asyncio.gather(listener, return_exceptions=True)
            finally:
                await connection.disconnect(nowait=True)

    async def _dial(self) -> AbstractConnection:
        """A connection with tracking on and nothing armed."""
        try:
            connection = await dial(self.address, timeout_s=self._timeout_s, protocol=3)
        except client.AuthenticationError:
            raise
        except client.ResponseError as exc:
            raise RefusedError(
                f"broker {self.address} cannot push ({exc}); it is asked every second instead"
            ) from exc
        try:
            # redis-py would swallow the push; passed on, read_response returns it.
            parser: Any = connection._parser
            parser.set_invalidation_push_handler(_passed_on)
            async with asyncio.timeout(self._timeout_s):
                await connection.send_command("CLIENT", "TRACKING", "ON")
                await connection.read_response()
        except BaseException as exc:
            await connection.disconnect(nowait=True)
            if isinstance(exc, client.ResponseError):
                raise RefusedError(
                    f"broker {self.address} refuses CLIENT TRACKING ({exc}); "
                    "it is asked every second instead"
                ) from exc
            raise
        return connection

    async def _listen(self, connection: AbstractConnection) -> None:
        """Put everything that comes into the inbox, in order; an error ends it."""
        while True:
            try:
                item = await connection.read_response(push_request=True)
            except client.ResponseError as exc:
                item = exc
            except (client.RedisError, OSError) as exc:
                self._inbox.put_nowait(_Ended(exc))
                return
            self._inbox.put_nowait(item)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Arm and listen, until the connection is old: the next one arms everything anew."""
        now = time.monotonic
        ends = now() + self._session_s
        tracking = self._tracking = Tracking(now())
        while now() < ends:
            tracking.want(self._wanted)
            await _send(connection, tracking.due(now()))
            if tracking.settled:
                self.problem = None
                self.tried.set()
            if changed := tracking.changed():
                self._on_change(changed)
            item = await self._next(tracking.next_at() - now())
            if item is None and tracking.lost(now()):
                raise LostError("no answer to a PING on the connection that waits for pushes")
            _take(tracking, item, now())

    async def _next(self, timeout_s: float) -> Any:
        """The next thing that came, None after ``timeout_s`` seconds."""
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                return await self._inbox.get()
        except TimeoutError:
            return None


class _Ended:
    """The listener has nothing more to say."""

    def __init__(self, exc: Exception) -> None:
        self.exc = exc


_LOOK_AGAIN = object()
"""Put into the inbox when what is wanted has changed."""


def _take(tracking: Tracking, item: Any, now: float) -> None:
    match item:
        case None:
            pass
        case _Ended():
            raise item.exc
        case [b"invalidate", keys]:
            tracking.pushed(keys, now)
        case int() | bytes() | Exception():
            tracking.replied(item, now)
        case _:
            # _LOOK_AGAIN, or a push of another kind.
            pass


async def _send(connection: AbstractConnection, commands: list[Command]) -> None:
    if commands:
        await connection.send_packed_command(connection.pack_commands(commands))


async def _passed_on(push: Any) -> Any:
    return push

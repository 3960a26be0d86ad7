"""One broker: a connection that is kept, asked in batches, and comes back by itself.

Everything that is asked of a broker in one moment goes out as one batch and comes
back in one round trip. Nobody waits for a broker that is down: an attempt is
bounded in time, and between attempts the last trouble is told again at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import exceptions as client
from redis.asyncio.connection import AbstractConnection

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.dial import dial
from sluiceway.broker.errors import BrokerError, sentence
from sluiceway.broker.facts import BrokerFacts, UnusableBrokerError, facts_from_info, parse_info
from sluiceway.broker.scripts import Command, ScriptCall

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
"""Between attempts at a broker that fails: 0.25 s, doubled each time, at most 4 s."""

RENEW_S = 30.0
"""A connection that is so old is replaced by a new one: where the address leads elsewhere by now,
and nobody has cut the old one, it would be kept for ever."""

ROLE_EVERY_S = 5.0
"""How often a server is asked whether it still leads. One that was replaced, and could not reach
its successor yet, would show for ever what it held then."""

_NO_PRIMARY = (
    "it is a replica, which takes no orders; while a failover goes on this mends itself, "
    "otherwise write the address of the primary, or of the Sentinels"
)
_STALE = (
    "it is a replica that has lost its primary, and shows what was once so; while a failover "
    "goes on this mends itself, otherwise write the address of the primary, or of the Sentinels"
)


class Broker:
    """A kept connection to one Redis database. Safe to share between coroutines."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        timeout_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected before the first ``run``.

        Args:
            timeout_s: for connecting, and again for all replies of one batch.
        """
        self.address = address
        self.facts: BrokerFacts | None = None
        """What the server said of itself when it was connected last."""
        self._timeout_s = timeout_s
        self._clock = clock
        self._connection: AbstractConnection | None = None
        self._renew_at = self._ask_role_at = float("inf")
        self._turn = asyncio.Lock()
        self._failures = 0
        self._trouble = ""
        self._next_try = float("-inf")

    async def run(self, batch: Sequence[Command | ScriptCall]) -> list[Any]:
        """Send a batch in one write and read its replies.

        A reply that is an error is returned in its place, as ``redis.ResponseError``;
        text is bytes. A script that the server does not know yet is sent in full. A server
        that has become a replica is left.

        Raises:
            BrokerError: the broker could not be asked.
        """
        async with self._turn:
            if self._connection is None and self._clock() < self._next_try:
                raise BrokerError(self._trouble)
            try:
                replies = await self._run(batch)
            except (client.RedisError, OSError, UnusableBrokerError) as exc:
                await self._failed(exc)
                raise BrokerError(self._trouble) from exc
            except BaseException:
                # Cancelled between write and reply: the next batch would be given
                # the replies of this one.
                await self._hang_up()
                raise
            self._failures = 0
            return replies

    async def close(self) -> None:
        """Hang up. A later ``run`` would connect again."""
        async with self._turn:
            await self._hang_up()

    async def _run(self, batch: Sequence[Command | ScriptCall]) -> list[Any]:
        connection = self._connection or await self._connect()
        if self._clock() >= self._renew_at:
            connection = await self._renew(connection)
        assert self.facts is not None
        ro = self.facts.has_read_only_scripts
        ask_role = self._clock() >= self._ask_role_at
        look: list[Command] = [("INFO", "replication")] if ask_role else []
        async with asyncio.timeout(self._timeout_s):
            replies = await _exchange(
                connection,
                [c.by_sha(has_read_only=ro) if isinstance(c, ScriptCall) else c for c in batch]
                + look,
            )
            if ask_role:
                self._ask_role_at = self._clock() + ROLE_EVERY_S
                self._look_at_role(_said(replies.pop()))
            unknown = [n for n, r in enumerate(replies) if isinstance(r, client.NoScriptError)]
            if unknown:
                calls = [call for n in unknown if isinstance(call := batch[n], ScriptCall)]
                again = await _exchange(connection, [c.in_full(has_read_only=ro) for c in calls])
                for n, reply in zip(unknown, again, strict=True):
                    replies[n] = reply
        for reply in replies:
            # Nobody need cut this connection: it would be kept for ever.
            if isinstance(reply, client.MasterDownError):
                raise UnusableBrokerError(_STALE)
            if isinstance(reply, client.ResponseError) and _is_read_only(reply):
                raise UnusableBrokerError(_NO_PRIMARY)
        return replies

    async def _connect(self) -> AbstractConnection:
        connection = await dial(self.address, timeout_s=self._timeout_s)
        # From here on it is ours to close, whatever happens.
        self._connection = connection
        await self._get_to_know(connection)
        return connection

    async def _renew(self, old: AbstractConnection) -> AbstractConnection:
        """A new connection in place of an old one; the old one where none can be had."""
        self._renew_at = self._clock() + RENEW_S
        try:
            new = await dial(self.address, timeout_s=self._timeout_s)
        except (client.RedisError, OSError):
            return old
        self._connection = new
        await old.disconnect(nowait=True)
        await self._get_to_know(new)
        return new

    async def _get_to_know(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(self._timeout_s):
            info, save = await _exchange(connection, [("INFO",), ("CONFIG", "GET", "save")])
        said = _said(info)
        self.facts = facts_from_info(said, save=_setting(save)) if said else BrokerFacts()
        self._renew_at = self._clock() + RENEW_S
        self._ask_role_at = self._clock() + ROLE_EVERY_S
        self._look_at_role(said)

    def _look_at_role(self, said: Mapping[str, str]) -> None:
        """Go on only with a server that shows what is so now.

        Args:
            said: its ``INFO``; nothing where this user may not ask.

        Raises:
            UnusableBrokerError: it does not.
        """
        if said.get("role") != "slave":
            return
        assert self.facts is not None
        if self.address.master_name is not None or self.facts.is_primary:
            raise UnusableBrokerError(_NO_PRIMARY)
        if said.get("master_link_status") != "up":
            raise UnusableBrokerError(_STALE)

    async def _failed(self, exc: BaseException) -> None:
        await self._hang_up()
        self._trouble = sentence(exc, self.address)
        pause = min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 16)
        self._next_try = self._clock() + pause

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


class Brokers:
    """All brokers in use, each connected once however many fleets share it."""

    def __init__(self, *, timeout_s: float = 2.0) -> None:
        self._timeout_s = timeout_s
        self._brokers: dict[BrokerAddress, Broker] = {}

    def get(self, address: BrokerAddress) -> Broker:
        """The broker at that address; connects when it is first asked."""
        if address not in self._brokers:
            self._brokers[address] = Broker(address, timeout_s=self._timeout_s)
        return self._brokers[address]

    async def keep(self, addresses: set[BrokerAddress]) -> None:
        """Hang up on every broker that no fleet uses any more."""
        # All at once: whoever asks for one while others are hung up on gets a new one.
        unused = [self._brokers.pop(address) for address in self._brokers.keys() - addresses]
        for broker in unused:
            await broker.close()

    async def close(self) -> None:
        """Hang up on all of them."""
        await self.keep(set())


async def _exchange(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    await connection.send_packed_command(connection.pack_commands(commands))
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response())
        except client.ResponseError as exc:
            replies.append(exc)
    return replies


def _is_read_only(reply: client.ResponseError) -> bool:
    """Before Redis 7 the word is inside the words of a script's error."""
    return isinstance(reply, client.ReadOnlyError) or "-READONLY" in str(reply)


def _said(info: Any) -> dict[str, str]:
    """The fields of a reply to ``INFO``; nothing where this user may not ask."""
    if isinstance(info, client.ResponseError):
        return {}
    return parse_info(info.decode("utf-8", "replace"))


def _setting(reply: Any) -> str | None:
    """What ``CONFIG GET`` found; None where this user may not ask."""
    known = not isinstance(reply, client.ResponseError) and len(reply) == 2
    return reply[1].decode() if known else None

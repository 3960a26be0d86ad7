"""A connection that stands is a quiet one, whatever its first packets met."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Connection

from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import Broker
from sluiceway.broker.dial import dial
from sluiceway.broker.errors import BrokerError

SO_TIMESTAMPING = 37
OF_WHAT_IS_SENT = 0x2 | 0x10
"""By software, and told."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps errors beside a connection")
async def test_an_event_loop_can_rest_on_a_connection_that_met_an_error_at_first(
    redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = Connection.connect

    async def connect_and_meet_an_error(self: Connection) -> None:
        await connected(self)
        sock = self._writer.get_extra_info("socket")
        # «Unreachable» lies in the same place, and cannot be had on loopback.
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, OF_WHAT_IS_SENT)
        self._writer.write(b"PING\r\n")
        assert await self.read_response() in ("PONG", b"PONG")
        assert _told_of(sock) & select.POLLERR

    monkeypatch.setattr(Connection, "connect", connect_and_meet_an_error)
    connection = await dial(parse_address(redis_server.url), timeout_s=30)
    try:
        assert not _told_of(connection._writer.get_extra_info("socket"))
    finally:
        await connection.disconnect()


def _told_of(sock: socket.socket) -> int:
    """What a poller is told of at this moment."""
    poller = select.poll()
    poller.register(sock, 0)
    return dict(poller.poll(0)).get(sock.fileno(), 0)


@pytest.fixture
async def silent_url() -> AsyncIterator[str]:
    """Whoever listens there takes each connection and says nothing, as a stopped server does."""
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    over.set()
    server.close()


async def test_who_takes_a_connection_and_says_nothing_is_not_waited_for(silent_url: str) -> None:
    broker = Broker(parse_address(silent_url), timeout_s=0.1)
    with pytest.raises(BrokerError, match="it does not answer in time"):
        await broker.run([("PING",)])

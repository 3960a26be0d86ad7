"""Opens one connection to a broker: TCP, TLS, a Unix socket, or through Sentinel.

The connections of redis-py are used bare, without its client and pool: a tick
sends a batch and reads as many replies, and the waking connection reads pushes
that nobody asked for. Neither fits a pool that retries and hands connections out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Connection, Sentinel, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sluiceway.broker.address import BrokerAddress, Tls
from sluiceway_worker.sockets import forget_errors


async def dial(
    address: BrokerAddress, *, timeout_s: float, protocol: int = 2
) -> AbstractConnection:
    """Connect, authenticate and select the database.

    Args:
        timeout_s: for the connection to stand; reads have no timeout of their own.
        protocol: RESP version. 2 is enough for commands and is understood by every
            proxy; pushes need 3.

    Raises:
        redis.RedisError, OSError: see ``errors.sentence``.
    """
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "protocol": protocol,
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
    }
    connection: AbstractConnection
    if address.socket_path is not None:
        connection = UnixDomainSocketConnection(path=address.socket_path, **options)
    else:
        host, port = await _host(address, timeout_s)
        options |= {"host": host, "port": port, "socket_keepalive": True}
        if address.tls is None:
            connection = Connection(**options)
        else:
            connection = SSLConnection(**options, **_tls(address.tls))
    try:
        # redis-py bounds the socket alone: who takes the connection and says nothing, such as
        # a server that is stopped, would be waited for without end.
        async with asyncio.timeout(timeout_s):
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it bare
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    if connection._writer is not None:
        forget_errors(connection._writer.get_extra_info("socket")._sock)
    return connection


async def _host(address: BrokerAddress, timeout_s: float) -> tuple[str, int]:
    if address.master_name is None:
        return address.hosts[0]
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it bare
        list(address.hosts),
        sentinel_kwargs={
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),  # who does not answer would be tried for seconds
        },
    )
    try:
        host, port = await sentinel.discover_master(address.master_name)
    finally:
        for one in sentinel.sentinels:
            await one.aclose()
    return str(host), int(port)


def _tls(tls: Tls) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": tls.cert_reqs,
        "ssl_ca_certs": tls.ca_certs,
        "ssl_certfile": tls.certfile,
        "ssl_keyfile": tls.keyfile,
        "ssl_check_hostname": tls.check_hostname,
    }

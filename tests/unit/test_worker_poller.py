"""A connection that is well is not taken for one with an error, whatever it met at first."""

from __future__ import annotations

import socket
import ssl
import sys
from contextlib import closing
from dataclasses import dataclass

import pytest
from kombu.utils.eventio import ERR, READ

from sluiceway_worker.transport import Poller

SO_TIMESTAMPING = 37
OF_WHAT_IS_SENT = 0x2 | 0x10
"""By software, and told."""


@dataclass(frozen=True)
class Connection:
    _sock: socket.socket


@dataclass(frozen=True)
class Client:
    connection: Connection


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps errors beside a connection")
@pytest.mark.parametrize("encrypted", [False, True])
def test_what_a_connection_met_before_it_came_about_is_no_error_of_it(
    pair: tuple[socket.socket, socket.socket], encrypted: bool
) -> None:
    near, far = pair
    if encrypted:
        near = ssl.create_default_context().wrap_socket(
            near, server_hostname="broker", do_handshake_on_connect=False
        )
    near.settimeout(30)
    with near, far:
        # «Unreachable» lies in the same place, and cannot be had on loopback.
        near.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, OF_WHAT_IS_SENT)
        socket.socket.send(near, b"PING")
        assert far.recv(4) == b"PING"
        poller = Poller()
        poller.poller.register(near, READ | ERR)
        assert poller.poller.poll(30) == [(near.fileno(), ERR & 0x8)]

        poller.join(object(), Client(Connection(near)), "LISTEN")
        assert poller.poller.poll(0) == []
        assert near.gettimeout() == 30

        far.send(b"+PONG\r\n")
        assert poller.poller.poll(30) == [(near.fileno(), READ)]

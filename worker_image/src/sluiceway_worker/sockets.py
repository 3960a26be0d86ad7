"""What Linux keeps beside a connection, and tells pollers of for ever."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

_ERRORS = getattr(socket, "MSG_ERRQUEUE", 0)
"""0 where it is not Linux."""
_INTERNET = (socket.AF_INET, socket.AF_INET6)


def forget_errors(sock: Any) -> None:
    """Take off a connected socket what its first packets met.

    Where a Service has no endpoint at that moment, they are answered with «unreachable», and the
    next ones may get through. Linux keeps the answer, and a poller is told of an error from then
    on, although the connection is well: an event loop never rests again, and whoever reads on
    being told so waits for what nobody will send.
    """
    if not (_ERRORS and isinstance(sock, socket.socket) and sock.family in _INTERNET):
        return
    before = sock.gettimeout()
    sock.settimeout(0)
    # Until it has none, and says so. An SSLSocket refuses to be asked in any other way.
    with suppress(OSError):
        while True:
            socket.socket.recvmsg(sock, 1, 0, _ERRORS)
    sock.settimeout(before)

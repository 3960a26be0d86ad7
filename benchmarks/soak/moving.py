"""The broker's one address comes to lead elsewhere, under work: no Sentinel, no word to anybody.

So it is with a Service in front of a primary, and with a cloud's Redis. In turn primary and
replica change places, and no connection is cut; all that reaches the primary hangs, as when its
machine is gone, and the replica leads; and the primary refuses to write for a while. Nothing of
that loses what Redis had confirmed: every task must run once, and no worker may end over it.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

import sluiceway_worker
from benchmarks.common import Result
from benchmarks.field import Field, children, wait
from benchmarks.kills import FLEET, WORKERS, local_mode, ready
from benchmarks.load import Load
from benchmarks.soak.proxy import Proxy
from benchmarks.soak.sentinels import Member
from benchmarks.verdict import Verdict
from sluiceway.local.mode import LocalMode
from sluiceway.report.events import Kind

REFUSES_S = 3.0


def run(times: int, seed: int) -> Result:
    """So often; ``again_s`` is seconds until each worker has begun a task that came later."""
    # What a web does that is to follow, too.
    sluiceway_worker.stamp()
    with field_with_one_address() as (field, pair):
        return asyncio.run(_run(field, pair, times, random.Random(seed)))


class Pair:
    """Two servers, one of which leads, and the one address of both."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        first = Member(folder / "a")
        self.members = [first, Member(folder / "b", primary=first.port)]
        for one in self.members:
            stack.callback(one.close)
            one.start()
        self.proxy = Proxy(first.port)
        stack.callback(self.proxy.close)
        self.in_step()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.proxy.port}/0"

    def in_step(self) -> None:
        """Wait until the replica has all that the primary has."""

        def so() -> bool:
            follows = self._said(1)
            led = self._said(0)["master_repl_offset"]
            # What was written between the two looks is there soon.
            return follows.get("master_link_status") == "up" and follows["slave_repl_offset"] >= led

        wait(so, "the replica has all")

    def change_places(self) -> None:
        """As for maintenance."""
        old, new = self.members
        command: Any = old.client.execute_command
        command("FAILOVER", "TO", "127.0.0.1", new.port)
        self.proxy.move(new.port)
        self.members.reverse()
        wait(lambda: self._said(0)["role"] == "master", "it leads")

    def hang(self) -> None:
        """As when the primary's machine is gone, and all that it had had got to the replica."""
        self.proxy.hang()
        self.in_step()
        old, new = self.members
        new.client.replicaof("NO", "ONE")
        self.proxy.move(new.port)
        self.members.reverse()
        # It comes back as another machine.
        old.kill()
        old.follow(new.port)
        old.start()

    def refuse(self) -> None:
        """As a primary that has lost its replicas, or its disk."""
        self.members[0].client.config_set("min-replicas-to-write", 9)
        time.sleep(REFUSES_S)
        self.members[0].client.config_set("min-replicas-to-write", 0)

    def _said(self, number: int) -> dict[str, Any]:
        said: dict[str, Any] = self.members[number].client.info("replication")
        return said


@contextmanager
def field_with_one_address() -> Iterator[tuple[Field, Pair]]:
    """A field whose broker is whoever leads of two."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pair-")))
        pair = Pair(folder, stack)
        client = redis.Redis(port=pair.proxy.port, socket_timeout=5)
        field = Field(folder, stack, pair.url, client)
        # As kombu's pages advise where a server may vanish without a word.
        field.options["socket_timeout"] = 5
        yield field, pair


async def _run(field: Field, pair: Pair, times: int, chance: random.Random) -> Result:
    ways = (pair.change_places, pair.hang, pair.refuse)
    again_s: list[float] = []
    async with local_mode(field) as local:
        await ready(local)
        with Load(field, chance) as load:
            for number in range(times):
                await asyncio.sleep(chance.uniform(2, 5))
                await asyncio.to_thread(pair.in_step)
                before, at = len(load.sent), time.monotonic()
                await asyncio.to_thread(ways[number % len(ways)])
                await asyncio.to_thread(wait_for_all, field, local, load, before)
                again_s.append(round(time.monotonic() - at, 2))
            await asyncio.sleep(2)
        await asyncio.to_thread(field.settle, set(load.sent))
    figures = Verdict(set(load.sent)).figures(field)
    return figures | {
        "publishing_failed": len(load.unconfirmed),
        "ended": ended(local),
        "again_s": again_s,
    }


def wait_for_all(field: Field, local: LocalMode, load: Load, before: int) -> None:
    """Wait until each worker has begun a task that was published after so many others."""

    def so() -> bool:
        later = set(list(load.sent)[before:])
        by = {pid for task, _, pid in field.rows("started") if task in later}
        workers = local.fleets[FLEET].running
        return len(workers) == WORKERS and all(by & set(children(one.child.pid)) for one in workers)

    wait(so, "all workers work again")


def ended(local: LocalMode) -> int:
    """How many workers ended that nobody told to."""
    return sum(event.kind is Kind.WORKER_ENDED for event in local.journal.events)

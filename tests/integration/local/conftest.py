"""Local mode with real workers and a real server, and a database that counts what ran."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sqlite3
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from celery import Celery

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.mode import LocalMode, Settings
from sluiceway.reconcile import Pace
from sluiceway.report.status import FleetStatus
from sluiceway.report.words import event_line

HERE = Path(__file__).parent

QUICK = {
    "cooldownPeriod": "1s",
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
}
"""Scaling that does not wait as long as a laptop's user would want it to."""


@pytest.fixture
def taskqueue() -> Callable[..., TaskQueue]:
    """Make a TaskQueue for the app of these tests: one slot per worker, quick to go."""
    return _taskqueue


def _taskqueue(name: str, *, broker: dict[str, Any] | None = None, **spec: Any) -> TaskQueue:
    worker = {"app": "counted_app", "concurrency": 1, "longestTask": "1m", **spec.get("worker", {})}
    return TaskQueue.from_outside(
        {
            "metadata": {"name": name},
            "spec": {
                **spec,
                "worker": worker,
                "broker": broker or {},
                "scaling": {**QUICK, **spec.get("scaling", {})},
            },
        }
    )


@dataclass
class Counted:
    """What ran, by the database; and what was published."""

    database: Path
    apps: list[Celery] = field(default_factory=list)

    def publish(self, broker_url: str, task: str, *args: Any, **options: Any) -> str:
        """Publish one task of the app and return its id."""
        app = Celery("publisher", broker=broker_url, set_as_current=False)
        self.apps.append(app)
        sent = app.send_task(f"counted_app.{task}", args, ignore_result=True, **options)
        return str(sent.id)

    def times(self, event: str) -> Counter[str]:
        """How often each task started, or finished."""
        with closing(sqlite3.connect(self.database, timeout=30)) as db:
            rows = db.execute("SELECT task_id FROM runs WHERE event = ?", (event,)).fetchall()
        return Counter(task_id for (task_id,) in rows)

    def each_ran_once(self, tasks: list[str]) -> bool:
        """Whether these tasks, and no others, have each been started and finished once."""
        once = Counter(dict.fromkeys(tasks, 1))
        return self.times("started") == self.times("finished") == once

    def close(self) -> None:
        for app in self.apps:
            app.close()


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    database = tmp_path / "runs.db"
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE runs (task_id TEXT, event TEXT, at REAL)")
        db.commit()
    counted = Counted(database)
    yield counted
    counted.close()


@pytest.fixture
def worker_env(counted: Counted) -> dict[str, str]:
    """What workers inherit; the mark tells this test's processes from all others."""
    return {
        **os.environ,
        "COUNTED_DB": str(counted.database),
        "COUNTED_MARK": uuid.uuid4().hex,
        "PYTHONPATH": str(HERE),
    }


@pytest.fixture
def left_behind(worker_env: dict[str, str]) -> Callable[[], list[int]]:
    """The processes of this machine that carry this test's mark in their environment."""
    return lambda: _processes_with(worker_env["COUNTED_MARK"])


def _processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Until(Protocol):
    async def __call__(self, holds: Callable[[], bool], *, within_s: float = ...) -> None: ...


@pytest.fixture
def until(what_waits: WhatWaits) -> Until:
    """Poll what no event tells us; the deadline is only reached by a hang."""

    async def until(holds: Callable[[], bool], *, within_s: float = 90.0) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not holds():  # noqa: ASYNC110 other processes cannot set an event of ours
                    await asyncio.sleep(0.05)
        except TimeoutError:
            print(await what_waits())
            raise

    return until


class StartLocal(Protocol):
    async def __call__(self, *taskqueues: TaskQueue, **settings: Any) -> LocalMode: ...


@pytest.fixture
async def start_local(
    tmp_path: Path, worker_env: dict[str, str], what_waits: WhatWaits
) -> AsyncIterator[StartLocal]:
    """Start local mode for these TaskQueues; it is stopped, warm, when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(*taskqueues: TaskQueue, **settings: Any) -> LocalMode:
            runtime = tmp_path / "runtime"
            runtime.mkdir(exist_ok=True)
            given = {
                "env": worker_env | settings.pop("env", {}),
                "workdir": HERE,
                "pace": Pace(busy_s=0.25, idle_s=1.0),
                "runtime": runtime,
                "log_dir": tmp_path / "logs",
                **settings,
            }
            local = await stack.enter_async_context(LocalMode(taskqueues, Settings(**given)))
            stack.push_async_callback(_stop, local, what_waits)
            return local

        yield start


_STOPS_WITHIN_S = 80.0
"""Only a hang takes so long; ten seconds later the grace period of these workers is over,
and whoever does not go would be ended by force and not be seen."""


async def _stop(local: LocalMode, what_waits: WhatWaits) -> None:
    """A warm stop that does not come to its end says what it waits for, and is a failure."""
    try:
        async with asyncio.timeout(_STOPS_WITHIN_S):
            await local.stop()
    except TimeoutError:
        print(await what_waits(local.logs))
        async with asyncio.timeout(_STOPS_WITHIN_S):
            await local.stop_cold()
        pytest.fail("the warm stop did not end; what it waited for was printed above")


class WhatWaits(Protocol):
    async def __call__(self, logs: Path | None = None) -> str: ...


@pytest.fixture
def what_waits(left_behind: Callable[[], list[int]]) -> WhatWaits:
    """All that can be told of a test that hangs: our tasks, its processes, their last words."""

    async def what_waits(logs: Path | None = None) -> str:
        told = io.StringIO()
        for task in asyncio.all_tasks():
            task.print_stack(file=told)
        for pid in left_behind():
            with suppress(OSError):  # it has just gone
                told.write(_what_it_waits_for(pid))
            await asyncio.sleep(0.5)  # until it has written the stacks of its threads
        return told.getvalue() + _last_words(logs)

    return what_waits


def _what_it_waits_for(pid: int) -> str:
    """What the kernel knows of it; its threads' stacks it is asked to write by itself."""
    of = Path(f"/proc/{pid}")
    status = (of / "status").read_text()
    caught = int(re.findall(r"SigCgt:\s*(\S+)", status)[0], 16)
    if caught >> (signal.SIGUSR2 - 1) & 1:  # else it would be ended by it
        os.kill(pid, signal.SIGUSR2)
    return (
        f"process {pid}: {(of / 'cmdline').read_bytes()!r}, in {(of / 'wchan').read_text()}\n"
        + "\n".join(re.findall(r"(?m)^(?:State|PPid|Sig|Shd).*", status))
        + "\n"
    )


def _last_words(logs: Path | None) -> str:
    return "\n".join(
        f"{log.name}:\n{log.read_text(errors='replace')[-8_000:]}"
        for log in (sorted(logs.glob("*.log")) if logs else [])
    )


class Seen(Protocol):
    async def __call__(
        self, local: LocalMode, holds: Callable[[Mapping[str, FleetStatus]], bool]
    ) -> None: ...


@pytest.fixture
def seen() -> Seen:
    """Wait until local mode sees that something holds; a hang says what it saw instead."""

    async def seen(local: LocalMode, holds: Callable[[Mapping[str, FleetStatus]], bool]) -> None:
        try:
            async with asyncio.timeout(90):
                await local.journal.until(lambda now: bool(now) and holds(now))
        except TimeoutError:
            events = "\n".join(event_line(event) for event in local.journal.events)
            pytest.fail(f"it does not come to that:\n{events}\n{local.journal.statuses}")

    return seen

"""Real worker processes against a real server, and what happened to every task, counted.

A test publishes with ``queue.send(...)``, starts workers with ``start_worker(...)``, looks
at what they say of themselves (``worker.heartbeat``) and at what became of the tasks
(``records``), which the tasks themselves write into SQLite.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from celery import Celery

from sluiceway_worker import wire
from sluiceway_worker.heartbeat import Heartbeat

HERE = Path(__file__).parent
WORKER_PYTHON = os.environ.get("SLUICEWAY_TEST_WORKER_PYTHON", sys.executable)
"""Workers may run in another environment, to try an older Python, Celery or kombu."""

PATIENCE_S = 120.0
"""No test fails for being slow: this ends a wait for what never comes."""


def wait_until(probe: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of ``probe``."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := probe():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


class Records:
    """What the tasks wrote down: (event, task id), one row each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE events (event TEXT, task TEXT, at REAL, pid INTEGER)")
            db.commit()

    def rows(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db:
            return list(db.execute("SELECT event, task FROM events ORDER BY rowid"))

    def of(self, event: str) -> Counter[str]:
        """Task id → how often this event happened to it."""
        return Counter(task for name, task in self.rows() if name == event)

    def wait_for(self, event: str, *tasks: str) -> None:
        wait_until(lambda: set(tasks) <= set(self.of(event)), f"{event} of {tasks}")


class Queue:
    """Publishes to the recording application's queues, and looks into their lists."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self.redis = redis.Redis.from_url(url)
        self.prefix = prefix
        self.app = Celery(broker=url, set_as_current=False)
        self.app.conf.broker_transport_options = {
            "global_keyprefix": prefix,
            "priority_steps": list(wire.PRIORITY_STEPS),
        }
        self.app.conf.task_default_queue = "work"
        self.app.conf.task_ignore_result = True

    def send(self, task: str = "work", *args: Any, **options: Any) -> str:
        """Publish ``recording_app.<task>``; its id."""
        task_id = options.pop("task_id", None) or uuid.uuid4().hex
        self.app.send_task(f"recording_app.{task}", args=args, task_id=task_id, **options)
        return str(task_id)

    def key(self, step: int = 0) -> str:
        return dict(zip(wire.PRIORITY_STEPS, wire.queue_keys(self.prefix, "work"), strict=True))[
            step
        ]

    def waiting(self, step: int = 0) -> list[bytes]:
        """The raw messages of one priority list, the next one to be taken first."""
        return list(reversed(self.redis.lrange(self.key(step), 0, -1)))

    def length(self) -> int:
        return sum(self.redis.llen(key) for key in wire.queue_keys(self.prefix, "work"))

    def unacked(self) -> int:
        return int(self.redis.hlen(f"{self.prefix}unacked"))

    def empty(self) -> bool:
        return self.length() == 0 and self.unacked() == 0


class Worker:
    """One ``sluiceway-worker`` process."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, log: Path, queue: Queue):
        self.process = process
        self.name = name
        self.log = log
        self.may_break = False
        """Set where a test breaks its agent on purpose."""
        self._queue = queue

    def incarnation(self) -> str | None:
        members = self._queue.redis.smembers(wire.workers_key(self._queue.prefix))
        return next((m.decode() for m in members if m.decode().startswith(f"{self.name}:")), None)

    def heartbeat(self) -> Heartbeat | None:
        """What it says now; None while it says nothing."""
        incarnation = self.incarnation()
        if incarnation is None:
            return None
        raw = self._queue.redis.get(wire.heartbeat_key(self._queue.prefix, incarnation))
        return Heartbeat.from_json(raw) if raw else None

    def says(self, **expected: Any) -> Heartbeat:
        """Wait for a heartbeat with these values."""

        def probe() -> Heartbeat | None:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}")
            beat = self.heartbeat()
            matches = beat and all(getattr(beat, k) == v for k, v in expected.items())
            return beat if matches else None

        return wait_until(probe, f"{self.name} says {expected}, said last: {self.heartbeat()}")

    def ask_to_drain(self, ttl_ms: int = wire.DRAIN_LEASE_TTL_MS) -> None:
        incarnation = self.incarnation()
        assert incarnation is not None
        key = wire.drain_key(self._queue.prefix, incarnation)
        self._queue.redis.set(key, "test", px=ttl_ms)

    def recall(self) -> None:
        incarnation = self.incarnation()
        assert incarnation is not None
        self._queue.redis.delete(wire.drain_key(self._queue.prefix, incarnation))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ends(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(timeout=PATIENCE_S)


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """``wait_for(probe, what)``: its first true value."""
    return wait_until


class StartWorker(Protocol):
    def __call__(self, *options: str, **env: str) -> Worker: ...


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "records.sqlite")


@pytest.fixture
def queue(redis_server: Any) -> Iterator[Queue]:
    queue = Queue(redis_server.url)
    yield queue
    queue.app.close()
    queue.redis.close()


@pytest.fixture
def start_worker(
    queue: Queue, records: Records, redis_server: Any, tmp_path: Path
) -> Iterator[StartWorker]:
    """Start workers; whatever is left of them is ended with the test, their logs are shown."""
    started: list[Worker] = []

    def start(*options: str, ready: bool = True, **env: str) -> Worker:
        name = f"w{len(started) + 1}"
        log = tmp_path / f"{name}.log"
        command = [WORKER_PYTHON, "-m", "sluiceway_worker", "-A", "recording_app", "-l", "INFO"]
        command += ["--without-mingle", "--without-gossip", "-n", f"{name}@test", *options]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=HERE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "CELERY_BROKER_URL": redis_server.url,
                    "TEST_RECORDS": str(records.path),
                    "TEST_KEY_PREFIX": queue.prefix,
                    wire.ENV_NAME: name,
                    wire.ENV_FLEET: "test/work",
                    **env,
                },
            )
        worker = Worker(process, name, log, queue)
        started.append(worker)
        if ready:
            worker.says(state=wire.CONSUMING)
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            # The pool's children are in the worker's own session.
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
        text = worker.log.read_text(errors="replace")
        sys.stdout.write(f"--- {worker.name}\n{text}\n")
        if not worker.may_break:
            assert "agent gives up" not in text, f"{worker.name}'s agent failed"
            assert "agent cannot start" not in text, f"{worker.name}'s agent failed"

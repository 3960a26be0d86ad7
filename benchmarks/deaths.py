"""A worker dies with all its processes: how soon do its tasks run elsewhere?

On both sides two prefork workers of four slots run tasks that wait for a gate; one worker's
whole process group gets SIGKILL. Measured is the time from there to the second start of
each task that it ran, with a worker beside it that has free slots. One side is plain Celery
with late acknowledgement and a visibility timeout of 30 s (an hour is the default: then it
is that much more), the other is local mode. Both take turns in one run. What did not come
back, and what ran twice without having run in the dead worker, is counted by task id.

Run it as ``python -m benchmarks.deaths`` (two tries a side) or with ``--full`` (ten).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery

from benchmarks.common import Result, main, server, summary, url_of
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.local.mode import LocalMode, Settings

VISIBILITY_S = 30.0
TASKS = 4
SLOTS = 4
# One worker has slots for all of them.
PATIENCE_S = 300.0
HERE = Path(__file__).parent


def run(small: bool = True) -> Result:
    """Seconds until what a dead worker ran was started elsewhere, and what went wrong."""
    ours, plain = _Side(), _Side()
    for number in range(2 if small else 10):
        with field_of_tests() as field_:
            asyncio.run(_local(field_, ours))
        with field_of_tests() as field_:
            _plain(field_, plain)
        print(f"try {number + 1}: {ours.back_s} beside {plain.back_s}", flush=True)
    result: Result = {
        "local_mode": ours.figures(),
        f"plain_celery_visibility_{VISIBILITY_S:.0f}_s": plain.figures(),
    }
    if ours.back_s and plain.back_s:
        medians = [summary(side.back_s)["median"] for side in (plain, ours)]
        result["ratio_of_medians"] = round(medians[0] / medians[1], 1)
    return result


@dataclass
class _Side:
    back_s: list[float] = field(default_factory=list)
    not_back: int = 0
    twice_unasked: int = 0
    deaths: int = 0

    def figures(self) -> Result:
        return {
            "deaths": self.deaths,
            "tasks_that_ran": len(self.back_s),
            "back_s": summary(self.back_s, digits=2) if self.back_s else {},
            f"not_back_within_{PATIENCE_S:.0f}_s": self.not_back,
            "run_twice_that_had_not_run_there": self.twice_unasked,
        }


@dataclass
class Field:
    """A server, a database, and tasks that wait for one gate."""

    url: str
    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "runs.sqlite"

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "DEATHS_DB": str(self.database),
            "DEATHS_VISIBILITY": str(VISIBILITY_S),
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            "CELERY_BROKER_URL": self.url,
        }

    def publish(self) -> set[str]:
        with Celery(broker=self.url, set_as_current=False) as app:
            app.conf.task_ignore_result = True
            tasks = [uuid.uuid4().hex for _ in range(TASKS)]
            for task in tasks:
                app.send_task("deaths_app.wait_for", (str(self.gate),), queue="work", task_id=task)
        return set(tasks)

    def starts(self) -> list[tuple[str, float, int]]:
        """(task, Unix seconds, the worker's main process) of each start, in order."""
        with closing(sqlite3.connect(self.database, timeout=60)) as db:
            rows = "SELECT task, at, worker FROM runs WHERE event = 'started' ORDER BY at"
            return list(db.execute(rows))

    def finished(self) -> set[str]:
        with closing(sqlite3.connect(self.database, timeout=60)) as db:
            return {
                task for (task,) in db.execute("SELECT task FROM runs WHERE event = 'finished'")
            }

    def measure(self, tasks: set[str], side: _Side) -> None:
        """End the busier worker, and note when what it ran is started again."""
        until(lambda: {task for task, _, _ in self.starts()} == tasks)
        ran = Counter(worker for _, _, worker in self.starts())
        victim = ran.most_common(1)[0][0]
        there = {task for task, _, worker in self.starts() if worker == victim}
        os.killpg(victim, signal.SIGKILL)
        at = time.time()
        with suppress(TimeoutError):  # what is not back is counted
            until(lambda: there <= self._again(at))
        side.back_s += [when - at for task, when, _ in self.starts() if task in there and when > at]
        self.gate.touch()
        back = self._again(at)
        until(lambda: self.finished() >= (tasks - there) | (there & back))
        side.deaths += 1
        side.not_back += len(there - back)
        counts = Counter(task for task, _, _ in self.starts())
        side.twice_unasked += sum(counts[task] > 1 for task in tasks - there)

    def _again(self, after: float) -> set[str]:
        return {task for task, when, _ in self.starts() if when > after}


@contextmanager
def field_of_tests() -> Iterator[Field]:
    """A fresh server and an empty database."""
    with server() as client, tempfile.TemporaryDirectory(prefix="deaths-") as folder:
        field_ = Field(url_of(client), Path(folder))
        with closing(sqlite3.connect(field_.database)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE runs (task TEXT, event TEXT, at REAL, worker INTEGER)")
            db.commit()
        yield field_


async def _local(field_: Field, side: _Side) -> None:
    taskqueue = TaskQueue.from_outside(
        {
            "metadata": {"name": "work"},
            "spec": {
                "broker": {"url": field_.url},
                "worker": {"app": "deaths_app", "concurrency": SLOTS, "acks": "late"},
                "scaling": {"minReplicas": 2, "maxReplicas": 2},
            },
        }
    )
    env = {**field_.env, "SLUICEWAY_TAKE": "atomic"}
    async with LocalMode([taskqueue], Settings(env=env, workdir=HERE)) as local:
        await local.journal.until(lambda now: bool(now) and now["default/work"].workers.ready == 2)
        tasks = field_.publish()
        await asyncio.to_thread(field_.measure, tasks, side)


def _plain(field_: Field, side: _Side) -> None:
    workers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "deaths_app", "worker"),
                *("-c", str(SLOTS), "-n", f"w{number}@deaths", "-l", "ERROR"),
            ],
            cwd=HERE,
            env=field_.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(2)
    ]
    try:
        until(lambda: _waiting(field_.url) == 2)
        field_.measure(field_.publish(), side)
    finally:
        for worker in workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _waiting(url: str) -> int:
    """How many workers wait for a task."""
    import redis

    with redis.Redis.from_url(url) as client:
        return [one["cmd"] for one in client.client_list()].count("brpop")


def until(holds: Callable[[], bool]) -> None:
    """Wait for it.

    Raises:
        TimeoutError: it never comes.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the tasks did not come back")
        time.sleep(0.02)


if __name__ == "__main__":
    main("a worker dies", run)

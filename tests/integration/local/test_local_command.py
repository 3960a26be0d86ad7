"""`sluiceway local` as a command: how it ends, and that it leaves no process behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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


def end_by_force(left_behind: Callable[[], list[int]]) -> None:
    """All but the guard, which then ends the server: that one writes over its environment,
    and so over the mark by which it would be found."""
    for pid in left_behind():
        with suppress(OSError):
            if b"guard.py" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60  # only a hang reaches it
    while left_behind():
        assert time.monotonic() < deadline, "the guard does not end"
        time.sleep(0.02)


@pytest.fixture
def command(
    tmp_path: Path, worker_env: dict[str, str], left_behind: Callable[[], list[int]]
) -> Iterator[Command]:
    running = Command(tmp_path, worker_env)
    yield running
    end_by_force(left_behind)
    print(running.process.communicate()[0])


def workers_ready(command: Command) -> bool:
    told = command.explain("--output", "json")
    if told.returncode != 0:
        return False
    return all(
        json.loads(line)["now"]["workers"]["ready"] == 2 for line in told.stdout.splitlines()
    )


def workers_of(pids: list[int]) -> list[int]:
    """Those of these processes that are workers; a pool's children are of their worker."""
    leaders = []
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"sluiceway_worker" in words and os.getpgid(pid) == pid:
                leaders.append(pid)
        except OSError:
            continue
    return leaders


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


async def test_what_still_waits_when_its_own_server_ends_is_told(
    command: Command, counted: Any, until: Any
) -> None:
    await until(lambda: workers_ready(command))
    for _ in range(2):
        counted.publish(command.broker_url, "nap", 0.0, queue="work", countdown=3600)

    command.process.send_signal(signal.SIGINT)

    assert command.process.stdout is not None
    assert "2 messages that waited ended with the server" in command.process.stdout.read()
    assert command.process.wait() == 0


async def test_a_second_ctrl_c_cuts_what_runs_and_leaves_no_process_behind(
    command: Command, counted: Any, until: Any, left_behind: Any, tmp_path: Path
) -> None:
    await until(lambda: workers_ready(command))
    never = str(tmp_path / "never")
    counted.publish(command.broker_url, "wait_for", never, queue="work")
    await until(lambda: len(counted.times("started")) == 1)
    command.process.send_signal(signal.SIGINT)
    # The idle worker goes at once, the busy one waits for its task.
    await until(lambda: len(workers_of(left_behind())) == 1)
    assert command.process.poll() is None

    command.process.send_signal(signal.SIGINT)

    await until(lambda: command.process.poll() is not None)
    assert command.process.returncode == 130
    await until(lambda: left_behind() == [])
    assert not counted.times("finished")


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


class Debugged:
    """`sluiceway local --debug` on a terminal of its own, where one can type."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        queue = folder / "queue.yaml"
        queue.write_text(QUEUE)
        self.folder = folder
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sluiceway", "local", "-f", str(queue), "--debug"],
            cwd=HERE,
            env=env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # Its controlling terminal: what is typed as Ctrl-C is a signal, and when the
            # terminal is gone, as when these tests are ended by force, it hangs up.
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.terminal = ours
        self.said = ""
        os.set_blocking(ours, False)

    def says(self, words: str) -> bool:
        """Whether these words were written to the terminal so far."""
        with suppress(BlockingIOError, OSError):
            while chunk := os.read(self.terminal, 65_536):
                self.said += chunk.decode(errors="replace")
        return words in self.said

    def type(self, line: str) -> None:
        os.write(self.terminal, f"{line}\n".encode())

    def close(self) -> None:
        """Close the terminal, as its window is."""
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1

    def press_ctrl_c(self) -> None:
        os.write(self.terminal, b"\x03")

    def broker_url(self) -> str:
        return self.said.partition("CELERY_BROKER_URL=")[2].split()[0]


@pytest.fixture
def debugged(
    tmp_path: Path, worker_env: dict[str, str], left_behind: Callable[[], list[int]]
) -> Iterator[Debugged]:
    running = Debugged(tmp_path, worker_env)
    yield running
    end_by_force(left_behind)
    running.process.wait()
    running.says("")
    print(running.said)
    running.close()


async def test_without_a_breakpoint_one_ctrl_c_ends_debugging(
    debugged: Debugged, until: Any, left_behind: Any
) -> None:
    await until(lambda: debugged.says(" ready."))

    debugged.press_ctrl_c()

    await until(lambda: debugged.process.poll() is not None)
    assert debugged.process.returncode == 0
    await until(lambda: left_behind() == [])


async def test_debugging_ends_with_its_terminal_and_leaves_no_process_behind(
    debugged: Debugged, until: Any, left_behind: Any
) -> None:
    await until(lambda: debugged.says(" ready."))

    debugged.close()

    await until(lambda: debugged.process.poll() is not None)
    await until(lambda: left_behind() == [])


async def test_a_breakpoint_in_a_task_is_hit_and_can_be_typed_at(
    debugged: Debugged, counted: Any, until: Any, left_behind: Any
) -> None:
    await until(lambda: debugged.says(" ready."))
    tasks = [
        counted.publish(debugged.broker_url(), "stop_at_a_breakpoint", 21, queue="work")
        for _ in range(2)
    ]

    await until(lambda: debugged.says("(Pdb)"))
    debugged.type("p 2 * number")
    await until(lambda: debugged.says("\n42"))
    assert counted.times("started").total() == 1  # one at a time
    debugged.type("continue")
    await until(lambda: counted.times("finished")[tasks[0]] == 1)
    debugged.type("continue")

    await until(lambda: counted.each_ran_once(tasks))
    debugged.press_ctrl_c()  # the debugger has made this one its own
    await until(lambda: debugged.says("once more"))
    debugged.press_ctrl_c()
    await until(lambda: debugged.process.poll() is not None)
    await until(lambda: left_behind() == [])

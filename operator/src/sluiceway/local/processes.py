"""Child processes that can be waited for in asyncio and never outlive local mode.

Every child leads a process group of its own: Ctrl-C in the terminal reaches
local mode alone, which then drains its workers. Every child is on the list of
the guard (guard.py) from its first moment to its last.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sluiceway.local import guard

_LOOK_AGAIN_S = 0.01


class Guard:
    """Our end of the pipe to the guard process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def worker(self, pid: int, grace_s: float) -> None:
        """End this worker, with this grace period, should we be gone before it."""
        self._tell(f"worker {pid} {grace_s}")

    def server(self, pid: int) -> None:
        """End this server after the last worker, should we be gone before it."""
        self._tell(f"server {pid}")

    def gone(self, pid: int) -> None:
        """It has exited: its number may be given to another process now."""
        self._tell(f"gone {pid}")

    def folder(self, path: Path) -> None:
        """Remove this folder at the end, whichever end that is."""
        self._tell(f"folder {path}")

    def close(self) -> None:
        """Orderly end: the guard finds its list empty, removes the folders and exits."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        # A guard that was ended by hand is no reason to stop serving tasks, and one
        # that was closed has itself ended the child that is told of here.
        with suppress(OSError, ValueError):
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())


class Child:
    """One running child process, leader of its own group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        guard: Guard,
        grace_s: float | None,
        env: Mapping[str, str],
        output: IO[bytes],
        cwd: Path | None = None,
    ) -> None:
        """Start it. ``grace_s`` is a worker's grace period; None says that it is a server.

        Raises:
            OSError: the program cannot be started.
        """
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._process.pid
        if grace_s is None:
            guard.server(self.pid)
        else:
            guard.worker(self.pid, grace_s)
        self.exited: asyncio.Future[int] = self._loop.create_future()
        """Its exit code, negative for a signal, once it has been waited for."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done once nothing of its group runs any more: what its own children ran, too."""
        threading.Thread(target=self._wait, name=f"wait-{self.pid}", daemon=True).start()

    def _wait(self) -> None:
        code = self._wait_and_end_group()
        self._guard.gone(self.pid)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._say, self.exited, code)
        # They were sent SIGKILL; one in the middle of a read from a disk ends after it.
        while group_runs(self.pid):
            time.sleep(_LOOK_AGAIN_S)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._say, self.ended, None)

    def _wait_and_end_group(self) -> int:
        """Its exit code; its group ends with it, as a container with its first process."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            code = self._process.wait()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            return code
        with suppress(ChildProcessError):  # where SIGCHLD is ignored, none is left to wait for
            # It stays a zombie for a moment: its number, which is also its group's,
            # cannot be taken by another process before the group is ended.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._turn:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            return self._process.wait()

    @staticmethod
    def _say(future: asyncio.Future[Any], result: int | None) -> None:
        if not future.done():
            future.set_result(result)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the leader alone: Celery's children are its own to lead."""
        self._signal(os.kill, number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to the leader and everything it started."""
        self._signal(os.killpg, number)

    def _signal(self, send: Callable[[int, int], None], number: signal.Signals) -> None:
        # Not by Popen.send_signal: that waits for a child which has just ended, and the
        # thread whose business it is would find none and never tell of its end.
        with self._turn:
            if self._process.returncode is None:  # else its number may be another's by now
                with suppress(ProcessLookupError, PermissionError):
                    send(self.pid, number)


def group_runs(group: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process of this group may still do anything; a zombie cannot."""
    if not (proc / "self/stat").exists():
        with suppress(ProcessLookupError):
            os.killpg(group, 0)
            return True
        return False
    for stat in proc.glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            # After the command name, which may hold anything: state, parent, group.
            state, _, its_group, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if its_group == str(group) and state not in "ZX":
                return True
    return False

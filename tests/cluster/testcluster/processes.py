"""One program as a child process: started, frozen, stopped, always by its own pid.

Its output goes to a file, so that a failure can be shown with its reason. A
child started here holds a pipe of ours as its standard input and ends when the
pipe does (``KUBE_LIFELINE``): even a harness that is ended from outside leaves
nothing running.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 20.0
"""How long a program may take to end in good order before it is ended at once."""


class StartError(RuntimeError):
    """A program ended, or did not answer in time; the message ends with its log."""


class Process:
    """A program that may be started again after it was stopped."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        entry: Sequence[str | Path] = (),
    ) -> None:
        """
        Args:
            name: for messages.
            command: the program and its arguments.
            log: the file that its output is appended to.
            entry: a command put before it that makes or enters a process
                namespace and stays as its parent (`unshare --fork`, `nsenter --pid`).
        """
        self.name = name
        self.command = [str(part) for part in (*entry, *command)]
        self.log = log
        self._nested = bool(entry)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Of the program as last started, seen from here.

        Raises:
            LookupError: it was never started, or ended.
        """
        if self._child is None or not self.running:
            raise LookupError(f"{self.name} does not run")
        if not self._nested:
            return self._child.pid
        parent = self._child.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        if not children:
            raise LookupError(f"{self.name} does not run yet")
        return int(children[0])

    def start(self) -> None:
        """Start it; returns at once. Its output is appended to :attr:`log`."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"KUBE_LIFELINE": "stdin"},
                # Ctrl-C at a terminal reaches the harness alone, which stops in order.
                start_new_session=True,
            )

    def stop(self) -> None:
        """End it in good order (SIGTERM), or at once after :data:`STOP_SECONDS`."""
        if self._child is None:
            return
        if self.running:
            with suppress(LookupError):
                self.thaw()
                self._signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._reap()

    def crash(self) -> None:
        """End it at once, as a failing machine would (SIGKILL)."""
        if self._child is not None:
            with suppress(LookupError):
                self._signal(signal.SIGKILL)
            self._child.kill()
            self._reap()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        while not is_frozen(self.pid):  # a thread that runs on another core may answer yet
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let a frozen program go on (SIGCONT)."""
        self._signal(signal.SIGCONT)
        if self._nested and self._child is not None:
            # The entering command stops when its child does, and must be told too.
            self._child.send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = 15) -> str:
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready` says so.

        Raises:
            StartError: the program ended first, or `seconds` went by.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise StartError(f"{self.name} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} is not ready after {seconds} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def _reap(self) -> None:
        assert self._child is not None
        self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()


def is_frozen(pid: int) -> bool:
    """Whether a process does nothing more: all its threads are stopped, or it is gone."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            if stat.read_text(errors="replace").rpartition(")")[2].split()[0] not in "TtZX":
                return False
    return True


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on, all different.

    Taken from below the range of outgoing connections (a client that keeps
    trying a dead port inside that range meets itself) and of node ports.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20_000, 30_000), 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise StartError(f"no {count} ports between 20000 and 30000 are free")

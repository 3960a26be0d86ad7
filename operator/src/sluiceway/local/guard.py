"""The process that outlives local mode and leaves nothing behind.

Local mode may end in any way, `kill -9` included, and its workers and its
server must end too. Only another process can see to that. This one is started
first, in a session of its own, and reads lines from a pipe whose other end only
local mode holds. When that end closes, whatever is still on the list is ended:

    worker <pid> <grace seconds>    a worker, leader of its own process group
    server <pid>                    ended once the last worker has gone
    gone <pid>                      it has exited and been waited for
    folder <path>                   removed at the end

A worker is asked with SIGTERM, so that it finishes what it runs, and its whole
group gets SIGKILL when its grace period is over. After an orderly stop the list
is empty and only the folder goes.

It runs as a plain file under ``python -I -S``: it imports nothing of ours and
starts in some 20 ms.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import TextIO

_LOOK_EVERY_S = 0.1
_SERVER_GRACE_S = 5.0


class Charges:
    """What the guard has to end, as the lines said so far."""

    def __init__(self) -> None:
        self.workers: dict[int, float] = {}
        """pid → grace period, seconds."""
        self.servers: list[int] = []
        self.folders: list[str] = []

    def read(self, line: str) -> None:
        """Take one line in. A cut-off last line (local mode died while writing) is ignored."""
        word, _, rest = line.partition(" ")
        if not line.endswith("\n"):
            return
        if word == "worker":
            pid, grace = rest.split()
            self.workers[int(pid)] = float(grace)
        elif word == "server":
            self.servers.append(int(rest))
        elif word == "gone":
            self.workers.pop(int(rest), None)
            with suppress(ValueError):
                self.servers.remove(int(rest))
        elif word == "folder":
            self.folders.append(rest.rstrip("\n"))

    def end_all(self) -> None:
        """Workers first, so that they can still give back what they hold; then the rest."""
        _end(self.workers)
        _end(dict.fromkeys(self.servers, _SERVER_GRACE_S))
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def _end(groups: dict[int, float]) -> None:
    """SIGTERM each leader, wait, and SIGKILL each group when its grace period is over."""
    started = time.monotonic()
    left = dict(groups)
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    while left:
        for pid, grace in list(left.items()):
            if not _alive(pid) or time.monotonic() - started > grace:
                # Also for what a leader that has exited left in its group.
                with suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                del left[pid]
        if left:
            time.sleep(_LOOK_EVERY_S)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # In a container whose first process waits for nobody, it stays a zombie.
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True  # not ours to ask about, or a system without /proc


def watch(lines: TextIO) -> None:
    """Read until the other end closes, then end what is left."""
    charges = Charges()
    for line in lines:
        charges.read(line)
    charges.end_all()


if __name__ == "__main__":
    # Ctrl-C in the terminal, a closed terminal, a polite stop of everything:
    # all of these are local mode's to handle; this process goes when it is gone.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin)

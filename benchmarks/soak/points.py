"""The points at which a process is to die: who dies asks here, and so does who has it die.

A step is what is sent to a broker or the API server; a point lies before each and behind each.
While a folder has a file ``armed`` that names a kind of steps and a point, all points of that
kind are written to ``points``, and at that one the process is gone. What is repeated at once,
such as a lease that is renewed, is one point; what comes again later is another, with the next
number.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

DRAIN = "drain"
RECOVERY = "recovery"
"""The kinds of steps."""

TWICE = 2
"""What comes more often than that comes again as it came before."""


class Points:
    """In the process that is to die: knows where it is while a point is armed."""

    def __init__(self, folder: Path) -> None:
        self._armed, self._written = _files(folder)
        self._order = ""
        self._names: list[str] = []

    def pass_(self, kind: str, step: str, where: str) -> None:
        """This point has been reached; at the right one there is no return."""
        order = ""
        with suppress(FileNotFoundError):
            order = self._armed.read_text(encoding="utf-8")
        if order != self._order:
            self._order, self._names = order, []
        wanted, _, last = order.partition("|")
        name = f"{where} {step}"
        if wanted != kind or name in self._names[-2:]:
            return
        self._names.append(name)
        point = f"{name} {self._names.count(name)}"
        with self._written.open("a", encoding="utf-8") as file:
            file.write(f"{point}\n")
        if point == last:
            self._armed.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


class Trap:
    """Beside those processes: arms a point of one kind of steps, one after the other."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._armed, self._written = _files(folder)
        self._kind = kind

    def arm(self, point: str = "") -> None:
        """Whoever comes to this point dies; without one they only write down where they come."""
        self._written.write_text("", encoding="utf-8")
        self._armed.write_text(f"{self._kind}|{point}", encoding="utf-8")

    def disarm(self) -> None:
        """Nobody is to die any more."""
        self._armed.unlink(missing_ok=True)

    @property
    def sprung(self) -> bool:
        """Whether somebody came to the point, and died of it."""
        return not self._armed.exists()

    def passed(self) -> list[str]:
        """The points that were passed since it was armed, in their order."""
        passed = dict.fromkeys(self._written.read_text(encoding="utf-8").splitlines())
        return [point for point in passed if int(point.rpartition(" ")[2]) <= TWICE]


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "armed", folder / "points"

"""Which process group each worker is, noted for whoever comes after a local mode that was killed.

Its guard ends its workers. But of one that had died before, and of what it held, nobody is left
to tell: without a proof its messages would wait for the visibility timeout. That no process of
its group runs any more is the proof, and only its number is needed for that.

    <runtime folder>/sluiceway-<user>/workers/<name>    two lines: where the number is true, and it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from sluiceway.broker.holders import Cause, End
from sluiceway.local.processes import group_runs
from sluiceway_worker.identity import container


class Notes:
    """The notes of one run, and what can be told from those of others.

    Args:
        folder: where all runs of this user have theirs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._here = place()
        self._own: set[str] = set()
        self._over: dict[str, End] = {}

    def keep(self, running: Mapping[str, int]) -> None:
        """Have a note of each of these workers: process group by name."""
        # A full disk is no reason to stop serving tasks.
        with suppress(OSError):
            for name in running.keys() - self._own:
                (self._folder / name).write_text(f"{self._here}\n{running[name]}\n")
                self._own.add(name)

    def forget(self, looked_after: Iterable[str]) -> None:
        """What these workers held was looked after: nobody need know of them any more."""
        for name in looked_after:
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def ends(self) -> tuple[End, ...]:
        """The workers of other runs of which nothing runs any more."""
        names = {note.name for note in self._folder.iterdir()} - self._own - self._over.keys()
        for name in names:
            if self._is_over(name):
                self._over[name] = End(
                    worker=name,
                    cause=Cause.TOLD,
                    reason="it ended with the local mode that had started it",
                    if_silent=True,
                )
        return tuple(self._over.values())

    def _is_over(self, name: str) -> bool:
        """Whether that can be told for certain."""
        with suppress(OSError, ValueError):  # it is just being written, or was forgotten
            here, group = (self._folder / name).read_text().splitlines()
            return here == self._here != "" and not group_runs(int(group))
        return False


def place() -> str:
    """Where a process' number is true: this boot of this machine, and its namespace; "" where
    that cannot be told."""
    with suppress(OSError):
        return f"{container()} {Path('/proc/self/ns/pid').readlink()}" if container() else ""
    return ""

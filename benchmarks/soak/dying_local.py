"""Local mode that ends itself by SIGKILL at one step of a drain or of a recovery.

    python -m benchmarks.soak.dying_local FOLDER TASKQUEUES

It is ``sluiceway local`` as it is. Its steps are what it sends to the broker, and that it tells
a worker to go; see ``points`` for where it dies.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from benchmarks.soak.dying import watch
from benchmarks.soak.points import DRAIN, Points
from sluiceway.local.fleet import LocalWorker, ProcessFleet


def watch_signals(points: Points) -> None:
    """Have what tells a worker to go pass the points, too."""
    tells = ProcessFleet._tell_to_go

    def tell(self: ProcessFleet, worker: LocalWorker) -> None:
        if worker.told_to_go:
            return
        points.pass_(DRAIN, "told to go", "before")
        tells(self, worker)
        points.pass_(DRAIN, "told to go", "after")

    ProcessFleet._tell_to_go = tell  # type: ignore[method-assign]


def main() -> None:
    folder, taskqueues = sys.argv[1:]
    points = Points(Path(folder))
    watch(points)
    watch_signals(points)
    sys.argv[1:] = ["local", "--plain", "--file", taskqueues]
    runpy.run_module("sluiceway", run_name="__main__")


if __name__ == "__main__":
    main()

"""Local mode is killed at each single step of a drain, or of a recovery, one after the other.

First it is let through once, so that its steps are known. Then one after the other dies at each
point: before a step, or as soon as it is done. Its guard, which it cannot take along, ends its
workers in order; and the same command is given again at once, as a person would.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from celery import Celery

from benchmarks.common import Result
from benchmarks.field import (
    APP,
    APP_FOLDER,
    Field,
    children,
    command_of,
    fresh_field,
    heartbeats,
    text,
    wait,
)
from benchmarks.load import Load
from benchmarks.soak.points import DRAIN, RECOVERY, Trap
from benchmarks.verdict import Verdict
from sluiceway_worker import wire

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 3

_SCALING: dict[str, dict[str, Any]] = {
    DRAIN: {
        "minReplicas": 1,
        "maxReplicas": WORKERS,
        "target": {"backlogPerReplica": 2},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    },
    RECOVERY: {"minReplicas": WORKERS, "maxReplicas": WORKERS},
}


def drains(times: int, seed: int) -> Result:
    """So many die, the first at point ``seed`` of a drain."""
    return play(DRAIN, times, seed)


def recoveries(times: int, seed: int) -> Result:
    """So many die, the first at point ``seed`` of a recovery."""
    return play(RECOVERY, times, seed)


def play(kind: str, times: int, seed: int = 1, only: Sequence[str] = ()) -> Result:
    """Let so many die, and count.

    Args:
        only: these points, such as ``after move 1``, in place of all that there are.
    """
    with fresh_field() as field:
        return Play(kind, field, random.Random(seed)).run(times, seed, only)


class Play:
    """A fleet under work, and what is done to whoever leads it."""

    def __init__(self, kind: str, field: Field, chance: random.Random) -> None:
        self._kind = kind
        self._trap = Trap(field.folder, kind)
        self._field = field
        self._chance = chance
        self._folder = field.folder
        self._app = Celery(broker=field.url, set_as_current=False)
        self._app.conf.task_ignore_result = True
        self._sent: set[str] = set()
        self._ended: dict[int, float] = {}
        self._guards: list[int] = []
        self._killed = "nobody"
        self._local = self._start()

    def run(self, times: int, seed: int, only: Sequence[str]) -> Result:
        """Let so many die, the first at point ``seed``."""
        act = self._drain if self._kind == DRAIN else self._recover
        died: list[str] = []
        try:
            with Load(self._field, self._chance) if self._kind == RECOVERY else self._app as load:
                points = list(only) or self._points(act)
                for number in range(seed - 1, seed - 1 + times):
                    point = points[number % len(points)]
                    died.append(point if self._die_at(point, act) else "")
            self._sent |= set(load.sent) if isinstance(load, Load) else set()
            self._field.settle(self._sent)
            figures = Verdict(self._sent, self._ended).figures(self._field)
        finally:
            self._local.send_signal(signal.SIGTERM)
            self._local.wait()
            wait(lambda: not any(map(command_of, self._guards)), "the guards have ended all")
        went = [one for one in died if one]
        return figures | {"supervisors_killed": len(went), "points": sorted(set(went))}

    def _points(self, act: Callable[[], None]) -> list[str]:
        """The points in their order, when nobody dies."""
        self._trap.arm()
        act()
        self._trap.disarm()
        return self._trap.passed()

    def _die_at(self, point: str, act: Callable[[], None]) -> bool:
        """Whether it came to that point, and died of it."""
        self._trap.arm(point)
        act()
        gone = self._trap.sprung
        if gone:
            self._local.wait()
            self._local = self._start()
            wait(self._settled, "another one leads, and what the dead held is given to others")
        self._trap.disarm()
        return gone

    def _drain(self) -> None:
        """Work for three, and then for two: one of them drains, at work, and goes."""
        self._publish([self._chance.uniform(0.5, 2) for _ in range(3)] + [8.0] * 4)
        self._wait(lambda: len(self._workers()) >= WORKERS)
        self._wait(lambda: len(self._workers()) < WORKERS)

    def _recover(self) -> None:
        """A worker that runs something is killed, and what it held comes back."""
        self._wait(lambda: len(self._consuming()) >= WORKERS)
        worker = self._wait(self._one_that_runs)
        if worker is None:
            return
        self._killed = _name(worker)
        self._ended |= dict.fromkeys([worker, *children(worker)], time.time())
        os.killpg(worker, signal.SIGKILL)
        self._wait(lambda: not self._killed_holds())

    def _wait(self, holds: Callable[[], Any]) -> Any:
        """Until it holds, or the one that leads is dead."""
        found: list[Any] = [None]

        def so() -> bool:
            found[0] = holds()
            return bool(found[0]) or self._local.poll() is not None

        try:
            wait(so, f"the next step of a {self._kind}")
        except RuntimeError as exc:
            raise RuntimeError(f"{exc}; {self._last_words()}") from exc
        return found[0]

    def _settled(self) -> bool:
        return bool(self._consuming()) and not self._killed_holds()

    def _one_that_runs(self) -> int | None:
        running = (one for one in self._workers() if self._field.running(children(one)))
        return next(running, None)

    def _workers(self) -> list[int]:
        return [pid for pid in children(self._local.pid) if "sluiceway_worker" in command_of(pid)]

    def _consuming(self) -> set[str]:
        """The incarnations that say so."""
        beats = heartbeats(self._field.redis)
        return {one for one, beat in beats.items() if beat.state == wire.CONSUMING}

    def _killed_holds(self) -> bool:
        """Whether the worker that was killed last still stands among the holders."""
        names: Any = self._field.redis.hkeys(wire.holders_key(""))
        return any(text(one).startswith(f"{self._killed}:") for one in names)

    def _publish(self, seconds: Sequence[float]) -> None:
        for one in seconds:
            self._sent.add(self._app.send_task(f"{APP}.work", (one,), queue="work").id)

    def _start(self) -> subprocess.Popen[bytes]:
        taskqueue = {
            "apiVersion": "sluiceway.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": "work"},
            "spec": {
                "broker": {"url": self._field.url},
                "worker": {"app": APP, "concurrency": 2, "acks": "late", "maxDeliveries": 100},
                "scaling": _SCALING[self._kind],
            },
        }
        file = self._folder / "work.yaml"
        file.write_text(yaml.safe_dump(taskqueue), encoding="utf-8")
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with (self._folder / "local.log").open("ab") as log:
            local = subprocess.Popen(
                [
                    *(sys.executable, "-m", "benchmarks.soak.dying_local"),
                    *(str(self._folder), str(file)),
                ],
                cwd=APP_FOLDER,
                env={
                    **self._field.env,
                    "PYTHONPATH": path,
                    "XDG_RUNTIME_DIR": str(self._folder),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait(lambda: bool(_guards(local.pid)) or local.poll() is not None, "it has a guard")
        self._guards += _guards(local.pid)
        return local

    def _last_words(self) -> str:
        log = self._folder / "local.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""


def _guards(pid: int) -> list[int]:
    return [one for one in children(pid) if "guard.py" in command_of(one)]


def _name(worker: int) -> str:
    """As its command line has it."""
    words = command_of(worker).split("\0")
    return words[words.index("-n") + 1].partition("@")[0]

"""A fleet whose workers are processes of this machine, in place of pods.

It keeps as many workers running as it was asked for, starts again what ended by
itself (with back-off), and tells to go whom it is told to. It decides nothing:
reconcile brings it decisions, exactly as it brings them to a Deployment.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluiceway.broker.holders import Cause, End
from sluiceway.local.backoff import Backoff
from sluiceway.local.launch import Launch
from sluiceway.local.processes import Child, Guard
from sluiceway.local.said import last_lines
from sluiceway.observe import RunningWorker, Watched

_COLD_WITHIN_S = 5.0
"""After SIGQUIT (Celery's cold shutdown) a worker's group is ended by force."""

UP_AFTER_S = 20.0
"""A process that has stayed up so long is taken to be ready, as a pod without a probe
is. If it is not heard then, it may be speaking in another broker."""

_STAYS_S = 10.0
"""A worker that was started after a failure and has stayed up so long is no trouble."""

_OLD_LOGS = 20

_ENDS = 500
"""Of more workers than that, nobody need ask whether they have ended."""


@dataclass(eq=False)
class LocalWorker:
    """One worker process, from its start until it has been waited for."""

    name: str
    child: Child
    created_at: float
    """Unix seconds."""
    started_at: float
    """Monotonic, seconds."""
    log: Path
    told_to_go: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Exit:
    """A worker ended by itself."""

    worker: str
    code: int
    """Exit code, negative for a signal."""
    ran_s: float
    last_lines: tuple[str, ...]
    """The end of what it wrote."""
    next_start_in_s: float

    @property
    def sentence(self) -> str:
        """What happened, and what was the last thing it said."""
        how = f"signal {signal_name(-self.code)}" if self.code < 0 else f"code {self.code}"
        said = f": {self.last_lines[-1]}" if self.last_lines else ""
        return f"worker {self.worker} ended by itself after {self.ran_s:.0f} s with {how}{said}"


class ProcessFleet:
    """The worker processes of one TaskQueue."""

    def __init__(
        self,
        watched: Watched,
        launch: Launch,
        *,
        guard: Guard,
        logs: Path,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        changed: Callable[[], None],
        on_exit: Callable[[Exit], None],
        keep_logs: bool = True,
        up_after_s: float = UP_AFTER_S,
    ) -> None:
        """An empty fleet.

        Args:
            logs: a folder for a file per worker.
            clock: the time of day, Unix seconds.
            monotonic: seconds that never go back: what was set back must not keep a worker
                from being started again.
            changed: called when a worker has started or ended.
            on_exit: called when one ended that nobody had told to go.
            keep_logs: whether to keep the files of workers that have gone for good;
                otherwise only the latest of them are.
            up_after_s: how long a process stays up until it is taken to be ready.
        """
        self.watched = watched
        self.launch = launch
        self.rolling_out = False
        """Always: all workers of a run are started from the same spec."""
        self.stuck: str | None = None
        """Always: one process that fails says nothing of the next, and back-off paces them."""
        self.replicas = 0
        """How many workers are asked for."""
        self.marked: frozenset[str] = frozenset()
        self.leaving: frozenset[str] = frozenset()
        """Both always empty: who is to go is told so at once."""
        self._trouble: str | None = None
        self._guard = guard
        self._logs = logs
        self._clock = clock
        self._monotonic = monotonic
        self._changed = changed
        self._on_exit = on_exit
        self._keep_logs = keep_logs
        self._up_after_s = up_after_s
        self._ends: deque[End] = deque(maxlen=_ENDS)
        self._old_logs: deque[Path] = deque()
        self._workers: dict[str, LocalWorker] = {}
        self._backoff = Backoff()
        self._started = 0
        # As in a pod's name: the heartbeats of an earlier run on the same broker,
        # which live on for some seconds, are not taken for this run's.
        self._run = "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=4))
        self._spent_s = 0.0
        self._closing = False
        self._refill: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> str | None:
        """Why workers do not stay up, as a sentence; None while they do."""
        failed_at = self._backoff.failed_at
        if failed_at is not None and any(
            worker.started_at >= failed_at and self._monotonic() - worker.started_at >= _STAYS_S
            for worker in self._workers.values()
        ):
            return None
        return self._trouble

    @property
    def running(self) -> tuple[LocalWorker, ...]:
        """All processes that exist, those that were told to go included."""
        return tuple(self._workers.values())

    def workers(self) -> tuple[RunningWorker, ...]:
        """The same, as reconcile wants to know of them."""
        now = self._monotonic()
        return tuple(
            RunningWorker(
                name=w.name,
                created_at=w.created_at,
                ready=now - w.started_at > self._up_after_s or None,
                stopping=w.told_to_go,
            )
            for w in self._workers.values()
        )

    def ends(self) -> tuple[End, ...]:
        """The workers of which no process is left, the latest last."""
        return tuple(self._ends)

    def worker_seconds(self) -> float:
        """Seconds that workers have existed so far, summed over all of them."""
        now = self._monotonic()
        return self._spent_s + sum(now - w.started_at for w in self._workers.values())

    async def scale(self, replicas: int, remove: tuple[str, ...] = ()) -> None:
        """Ask for ``replicas`` workers and tell the named ones to go.

        Names that no longer exist count as gone. Where more would stay than are
        asked for, the newest go, as a ReplicaSet has it.
        """
        self.replicas = replicas
        for name in remove:
            if worker := self._workers.get(name):
                self._tell_to_go(worker)
        for worker in self._staying()[replicas:]:
            self._tell_to_go(worker)
        self._fill()

    async def stop(self) -> None:
        """Warm shutdown: tell everyone to go, and wait until the last one has."""
        self._close()
        for worker in self.running:
            self._tell_to_go(worker)
        await self._all_gone()

    async def stop_cold(self) -> None:
        """Cold shutdown: running tasks are cut, and delivered again where acks are late."""
        self._close()
        for worker in self.running:
            worker.told_to_go = True
            worker.child.send(signal.SIGQUIT)
        if exits := [worker.child.exited for worker in self.running]:
            await asyncio.wait(exits, timeout=_COLD_WITHIN_S)
        for worker in self.running:
            worker.child.send_group(signal.SIGKILL)
        await self._all_gone()

    def _close(self) -> None:
        self._closing = True
        self.replicas = 0
        if self._refill:
            self._refill.cancel()

    async def _all_gone(self) -> None:
        """Until every worker has been waited for and written down."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _tell_to_go(self, worker: LocalWorker) -> None:
        if not worker.told_to_go:
            worker.told_to_go = True
            worker.child.send(signal.SIGTERM)
            self._keep(self._until_grace_is_over(worker))

    def _staying(self) -> list[LocalWorker]:
        """Who has not been told to go, the oldest first."""
        return [worker for worker in self._workers.values() if not worker.told_to_go]

    def _fill(self) -> None:
        """Start what is missing, unless the back-off says to wait."""
        if self._closing:
            return
        if (wait_s := self._backoff.until - self._monotonic()) > 0:
            self._later(wait_s)
            return
        for _ in range(self.replicas - len(self._staying())):
            try:
                self._start()
            except OSError as exc:
                self._trouble = f"workers cannot be started: {exc}"
                now = self._monotonic()
                self._backoff = self._backoff.after_exit(started_at=now, now=now)
                self._later(self._backoff.until - now)
                return

    def _start(self) -> None:
        self._started += 1
        name = f"{self.launch.fleet.rpartition('/')[2]}-{self._run}-{self._started}"
        log = self._logs / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = Child(
                self.launch.argv_for(name),
                guard=self._guard,
                grace_s=self.launch.grace_s,
                env=self.launch.env_for(name),
                output=output,
                cwd=self.launch.cwd,
            )
        worker = LocalWorker(
            name=name,
            child=child,
            created_at=self._clock(),
            started_at=self._monotonic(),
            log=log,
        )
        self._workers[name] = worker
        self._keep(self._until_exit(worker))
        self._changed()

    async def _until_exit(self, worker: LocalWorker) -> None:
        await asyncio.wait([worker.child.exited])
        code = worker.child.exited.result()
        self._ended(worker, code)
        # The end of the main process proves nothing: a child may still run its task.
        await asyncio.wait([worker.child.ended])
        self._ends.append(_end_of(worker, code))
        self._changed()

    async def _until_grace_is_over(self, worker: LocalWorker) -> None:
        await asyncio.wait([worker.child.exited], timeout=self.launch.grace_s)
        worker.child.send_group(signal.SIGKILL)

    def _ended(self, worker: LocalWorker, code: int) -> None:
        now = self._monotonic()
        del self._workers[worker.name]
        self._spent_s += now - worker.started_at
        if not worker.told_to_go:
            self._backoff = self._backoff.after_exit(started_at=worker.started_at, now=now)
            wait = max(0.0, self._backoff.until - now)
            exit_ = Exit(
                worker=worker.name,
                code=code,
                ran_s=now - worker.started_at,
                last_lines=last_lines(worker.log),
                next_start_in_s=wait,
            )
            self._trouble = exit_.sentence
            self._on_exit(exit_)
            self._later(wait)
        self._put_away(worker.log)
        self._changed()

    def _put_away(self, log: Path) -> None:
        """A fleet that comes and goes all day must not fill the disk with what it wrote."""
        self._old_logs.append(log)
        if not self._keep_logs and len(self._old_logs) > _OLD_LOGS:
            self._old_logs.popleft().unlink(missing_ok=True)

    def _later(self, wait_s: float) -> None:
        if self._refill:
            self._refill.cancel()
        self._refill = asyncio.get_running_loop().call_later(wait_s, self._fill)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def signal_name(number: int) -> str:
    """``SIGKILL``; for one without a name its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _end_of(worker: LocalWorker, code: int) -> End:
    how = signal_name(-code) if code < 0 else f"exit code {code}"
    told = worker.told_to_go or code == 0
    return End(worker=worker.name, cause=Cause.TOLD if told else Cause.CRASH, reason=how)

"""Tasks in the foreground, one at a time, so that a breakpoint set in a task is hit.

One worker process with Celery's solo pool serves all queues: the task runs in its
main thread, and it shares our terminal, so the debugger's prompt can be typed at.
Nothing is scaled.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import parse_address
from sluiceway.local.brokers import EMBEDDED, choose_brokers
from sluiceway.local.launch import Launch, launch_of, link_agent
from sluiceway.local.mode import Settings
from sluiceway.local.processes import Guard
from sluiceway.local.server import EmbeddedServer

_T = TypeVar("_T")

_PLAIN_OUTPUT = ("--", "worker.redirect_stdouts=0")
"""Celery would turn what a debugger prints into log lines."""


_TWICE_WITHIN_S = 3.0


class SeveralError(ValueError):
    """The TaskQueues do not fit into one process; the message names what differs."""


async def debug(taskqueues: Sequence[TaskQueue], settings: Settings) -> int:
    """Run until Ctrl-C, or until the worker ends by itself.

    Returns:
        0 after Ctrl-C, 130 after a second one; else the worker's exit code, as a
        shell would give it.

    Raises:
        SeveralError: more than one application, or more than one broker.
        NoServerError: an embedded server is needed and cannot be had.
    """
    merged = merge(taskqueues)
    urls = choose_brokers(
        taskqueues, env=settings.env, given=settings.broker_url, embedded=settings.embedded
    )
    url = _the_one("brokers", urls.values())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluiceway-debug-")))
        guard = Guard()
        stack.callback(guard.close)
        embeds = url is EMBEDDED
        if url is EMBEDDED:
            server = await EmbeddedServer.start(folder, guard, settings.port)
            stack.push_async_callback(server.stop)
            url = server.url
        launch = launch_of(
            merged,
            broker_url=url,
            env=settings.env,
            python=settings.python or sys.executable,
            workdir=settings.workdir,
            agent_path=None if settings.python is None else link_agent(folder),
        )
        print(f"broker {parse_address(url)}", flush=True)
        if embeds:  # one that was given has a password, maybe
            print(f"your web app finds it with: export CELERY_BROKER_URL={url}", flush=True)
        return await _run(launch, guard)


def merge(taskqueues: Sequence[TaskQueue]) -> TaskQueue:
    """One TaskQueue with the queues of all, for Celery's solo pool.

    Raises:
        SeveralError: they are of more than one application.
    """
    first = taskqueues[0]
    _the_one("applications", [tq.spec.worker.app for tq in taskqueues])
    queues = tuple(dict.fromkeys(queue for tq in taskqueues for queue in tq.queues))
    worker = first.spec.worker.model_copy(update={"pool": "solo", "concurrency": None})
    spec = first.spec.model_copy(update={"queues": queues, "worker": worker})
    return first.model_copy(update={"spec": spec})


async def _run(launch: Launch, guard: Guard) -> int:
    # In our own process group: only the terminal's foreground group may read from it.
    process = await asyncio.create_subprocess_exec(
        *launch.argv_for("debug"),
        "-l",
        "INFO",
        *_PLAIN_OUTPUT,
        env=launch.env_for("debug"),
        cwd=launch.cwd,
    )
    guard.worker(process.pid, launch.grace_s)
    loop = asyncio.get_running_loop()
    interrupts = _Interrupts(process, loop.time)
    loop.add_signal_handler(signal.SIGINT, interrupts)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, process.send_signal, signal.SIGTERM)
    code = await process.wait()
    guard.gone(process.pid)
    if interrupts.count:
        # Celery leaves with 1 after Ctrl-C; here that is how it is meant to end.
        return 130 if code == -signal.SIGKILL else 0
    return code if code >= 0 else 128 - code


class _Interrupts:
    """Ctrl-C reaches the worker by itself, which then shuts down warm. But after a
    breakpoint the debugger has put its own handler there and shows its prompt instead:
    a second Ctrl-C soon after the first ends the worker in any case."""

    def __init__(self, process: asyncio.subprocess.Process, clock: Callable[[], float]) -> None:
        self._process = process
        self._clock = clock
        self._last = float("-inf")
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        now = self._clock()
        if now - self._last < _TWICE_WITHIN_S:
            self._process.kill()
        else:
            print("\nCtrl-C once more within 3 s ends it at once", flush=True)
        self._last = now


def _the_one(what: str, values: Iterable[_T]) -> _T:
    different = list(dict.fromkeys(values))
    if len(different) > 1:
        names = ", ".join(str(value) for value in different)
        raise SeveralError(
            f"--debug runs one process, and the TaskQueues name {len(different)} {what} "
            f"({names}); give the files of one"
        )
    return different[0]

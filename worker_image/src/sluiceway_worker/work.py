"""What became of each task name: counts, run times and waiting times, in few buckets.

What the operator makes the metrics of. Bounded whatever the application does: so many
pairs of queue and name, so many names of exceptions, and fixed buckets.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from sluiceway_worker.heartbeat import RunningTask, TaskWork
from sluiceway_worker.wire import BOUNDS_S, MAX_EXCEPTIONS, MAX_RUNNING_TOLD, MAX_TASK_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Sums:
    """One queue and name, as it grows."""

    def __init__(self) -> None:
        self.started = 0
        self.ended: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.run_sum_s = self.wait_sum_s = 0.0
        self.runs: list[int] = []
        self.waits: list[int] = []


class Work:
    """Counts what begins and ends. Not safe by itself: the ledger calls it under its lock."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sums] = {}
        self._exceptions: set[str] = set()

    def began(self, queue: str, name: str, waited_s: float | None) -> None:
        """A run began; ``waited_s`` is None where its message carries no stamp."""
        sums = self._of(queue, name)
        sums.started += 1
        if waited_s is not None:
            _add(sums.waits, max(0.0, waited_s))
            sums.wait_sum_s += max(0.0, waited_s)

    def ended(self, queue: str, name: str, outcome: str, took_s: float, exception: str) -> None:
        """A run ended.

        Args:
            outcome: the value of an ``Outcome``.
            exception: the class of what a failed one ended with.
        """
        sums = self._of(queue, name)
        _add(sums.runs, took_s)
        sums.run_sum_s += took_s
        if outcome == "failed":
            if exception not in self._exceptions and len(self._exceptions) >= MAX_EXCEPTIONS:
                exception = ""
            self._exceptions.add(exception)
            sums.failed[exception] = sums.failed.get(exception, 0) + 1
        else:
            sums.ended[outcome] = sums.ended.get(outcome, 0) + 1

    def read(self) -> list[TaskWork]:
        """Everything until now, as a heartbeat has it."""
        return [
            TaskWork(
                queue=queue,
                name=name,
                started=sums.started,
                succeeded=sums.ended.get("done", 0),
                retried=sums.ended.get("retried", 0),
                rejected=sums.ended.get("rejected", 0),
                failed=dict(sums.failed),
                run_sum_s=sums.run_sum_s,
                runs=list(sums.runs),
                wait_sum_s=sums.wait_sum_s,
                waits=list(sums.waits),
            )
            for (queue, name), sums in self._sums.items()
        ]

    def _of(self, queue: str, name: str) -> _Sums:
        key = (queue, name)
        if key not in self._sums and len(self._sums) >= MAX_TASK_NAMES:
            key = ("", "")
        return self._sums.setdefault(key, _Sums())


def longest(running: Iterable[tuple[str, float, str]], now: float) -> list[RunningTask]:
    """Those that have run longest, of (name, start, queue) each."""
    oldest = sorted(running, key=lambda one: one[1])[:MAX_RUNNING_TOLD]
    return [
        RunningTask(queue=queue, name=name, for_s=max(0.0, now - since))
        for name, since, queue in oldest
    ]


def queue_of(request: Any) -> str:
    """The name of the Celery queue that a request came from; as good as its message tells."""
    key = str((request.delivery_info or {}).get("routing_key") or "")
    queues = request.app.amqp.queues.consume_from
    if key in queues:
        return key
    named = (name for name, queue in queues.items() if queue.routing_key == key)
    return str(next(named, key))


def exception_in(einfo: Any) -> Any:
    """The exception that one of billiard's ``ExceptionInfo`` is about, unwrapped."""
    exc = getattr(einfo, "exception", None)
    return getattr(exc, "exc", exc) if type(exc).__name__ == "ExceptionWithTraceback" else exc


def exception_of(args: tuple[Any, ...]) -> str:
    """The class of the exception that a callback of the pool was given; "" for none."""
    told = args[0] if args else None
    if isinstance(told, bool):
        return "TimeLimitExceeded"
    if isinstance(told, tuple):
        failed, told, _runtime = told
        if not failed:
            return ""
    exc = exception_in(told)
    # One that cannot be pickled comes wrapped, and says which it was.
    return str(getattr(exc, "exc_cls_name", "") or type(exc).__name__)


def _add(buckets: list[int], value_s: float) -> None:
    at = bisect_left(BOUNDS_S, value_s)
    buckets.extend([0] * (at + 1 - len(buckets)))
    buckets[at] += 1

"""Sees every run of this worker begin and end, from the parent process, in every pool.

Whatever the pool, Celery hands a task to it through ``pool.apply_async`` with the
request's own callbacks; here they are accompanied on their way. (The task signals
would not do: under prefork they fire in the children.) A run that the pool has
accepted but not begun can be taken back where the pool knows how: the thread
pool's futures can be cancelled, and tell whether that came in time.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state
from celery.worker.request import Request

from sluiceway_worker.ledger import Outcome
from sluiceway_worker.wire import STAMP_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from sluiceway_worker.fail_open import FailOpen
    from sluiceway_worker.ledger import Ledger

_FORGET_AFTER_S = 5.0


class Runs:
    """Stands between Celery and its pool, and tells the ledger.

    Args:
        pool: Celery's ``TaskPool`` of this worker.
        ledger: where runs are counted.
        guard: what our own part of a callback goes through.
        changed: called, from any thread, after a run began or ended.
        before_run: called on the way in, before the pool gets a request.
        clock_offset: the broker's clock minus ours, in seconds.
    """

    def __init__(
        self,
        pool: Any,
        ledger: Ledger,
        guard: FailOpen,
        *,
        changed: Callable[[], None],
        before_run: Callable[[], None],
        clock_offset: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._changed = changed
        self._before_run = before_run
        self._clock_offset = clock_offset
        self._apply_async = pool.apply_async
        self._queued: dict[Request, Future[Any]] = {}
        pool.apply_async = self.apply_async

    def apply_async(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """The pool's own ``apply_async``, with the callbacks of a task accompanied."""
        request = getattr(options.get("accept_callback"), "__self__", None)
        if not isinstance(request, Request):
            return self._apply_async(target, args, kwargs, **options)
        self._guard(self._before_run, otherwise=None)
        options["accept_callback"] = self._accepted(request, options["accept_callback"])
        for name, outcome_of in _OUTCOMES.items():
            if options.get(name) is not None:
                options[name] = self._ended(request, options[name], outcome_of)
        result = self._apply_async(target, args, kwargs, **options)
        future = getattr(result, "f", None)
        if future is not None:
            self._guard(self._remember, request, future, otherwise=None)
        return result

    @property
    def queued(self) -> bool:
        """Whether the thread pool may hold runs that have not begun."""
        return bool(self._queued)

    def withdraw_queued(self) -> list[Request]:
        """Take back the runs that the thread pool has queued and surely not begun."""
        mine = []
        for request, future in list(self._queued.items()):
            if future.cancel():
                mine.append(request)
            self._queued.pop(request, None)
        return mine

    def forget_vanished(self, now: float) -> None:
        """Close runs whose end no callback told: Celery itself no longer has them."""
        for run, since in self._ledger.running():
            if now - since > _FORGET_AFTER_S and run not in state.active_requests:
                self._ledger.ended(run, Outcome.FAILED, now)

    def _accepted(self, request: Request, told: Callable[..., Any]) -> Callable[..., Any]:
        def accepted(pid: Any, time_accepted: float) -> Any:
            self._guard(self._note_start, request, time_accepted, otherwise=None)
            return told(pid, time_accepted)

        return accepted

    def _note_start(self, request: Request, at: float) -> None:
        self._queued.pop(request, None)
        self._ledger.started(request, request.name, at, self._waited_s(request))
        self._changed()

    def _ended(
        self,
        request: Request,
        told: Callable[..., Any],
        outcome_of: Callable[..., Outcome | None],
    ) -> Callable[..., Any]:
        def ended(*args: Any, **kwargs: Any) -> Any:
            try:
                return told(*args, **kwargs)
            finally:
                self._guard(self._note_end, request, outcome_of, args, kwargs, otherwise=None)

        return ended

    def _note_end(
        self, request: Request, outcome_of: Callable[..., Outcome | None], args: Any, kwargs: Any
    ) -> None:
        outcome = outcome_of(*args, **kwargs)
        if outcome is not None:
            self._ledger.ended(request, outcome, monotonic())
            self._changed()

    def _remember(self, request: Request, future: Future[Any]) -> None:
        self._queued[request] = future
        if future.running() or future.done():
            # It began before it was noted, so nobody would forget it.
            self._queued.pop(request, None)

    def _waited_s(self, request: Request) -> float | None:
        """From max(stamp, eta) until now, by the broker's clock; None without a stamp."""
        stamp = (request.message.headers or {}).get(STAMP_HEADER)
        if not isinstance(stamp, (int, float)):
            return None
        due = eta_of(request)
        return time() + self._clock_offset() - max(stamp, due if due is not None else stamp)


def eta_of(request: Request) -> float | None:
    """When the task is due, Unix seconds; None for «at once»."""
    return request.eta.timestamp() if request.eta else None


def _of_result(result: Any, *_: Any, **__: Any) -> Outcome | None:
    failed, value, _runtime = result
    return _of_error(value) if failed else Outcome.DONE


def _of_error(einfo: Any, *_: Any, **__: Any) -> Outcome | None:
    exc = getattr(einfo, "exception", None)
    exc = getattr(exc, "exc", exc) if type(exc).__name__ == "ExceptionWithTraceback" else exc
    if isinstance(exc, Retry):
        return Outcome.RETRIED
    return Outcome.DONE if isinstance(exc, (Ignore, Reject)) else Outcome.FAILED


def _of_timeout(soft: bool, *_: Any, **__: Any) -> Outcome | None:
    # A soft limit only warns the task: the run goes on.
    return None if soft else Outcome.FAILED


_OUTCOMES: dict[str, Callable[..., Outcome | None]] = {
    "callback": _of_result,
    "error_callback": _of_error,
    "timeout_callback": _of_timeout,
}

"""Sees every run of this worker begin and end, from the parent process, in every pool.

Whatever the pool, Celery hands a task to it through ``pool.apply_async`` with the
request's own callbacks; here they are accompanied on their way. (The task signals
would not do: under prefork they fire in the children.) A run that the pool has
accepted but not begun can be taken back where the pool knows how: the thread
pool's futures can be cancelled, and tell whether that came in time.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state
from celery.worker.request import Request

from sluiceway_worker.ledger import Outcome
from sluiceway_worker.untold import hand_back, note_lost, swallows_errors, telling
from sluiceway_worker.wire import STAMP_HEADER
from sluiceway_worker.work import exception_in, exception_of, queue_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from sluiceway_worker.fail_open import FailOpen
    from sluiceway_worker.ledger import Ledger

_FORGET_AFTER_S = 5.0


class Later(NamedTuple):
    """A request that is held for a future ETA."""

    eta: float
    """Unix seconds, as the message says."""
    hold_s: float
    """How long it is held for that, all in all."""


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
        self._pool = pool
        self._celerys_flush: Callable[[], Any] = _nothing
        self._apply_async = pool.apply_async
        self._queued: dict[Request, Future[Any]] = {}
        self._handed: dict[Request, Any] = {}
        """What the pool has and has not begun, with the pool's own word for it."""
        self._over: set[Request] = set()
        """What has ended while its acknowledgement waits for the event loop's next turn."""
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
        if swallows_errors(self._pool):
            target = telling(target, options["error_callback"])
        self._handed[request] = None
        try:
            result = self._apply_async(target, args, kwargs, **options)
        except BaseException:
            self._handed.pop(request, None)
            raise
        if request in self._handed:
            self._handed[request] = result
        future = getattr(result, "f", None)
        if future is not None:
            self._guard(self._remember, request, future, otherwise=None)
        return result

    def at_work(self) -> list[Request]:
        """What runs, and what surely will because the pool has it: Celery may have forgotten."""
        handed = list(self._handed.items())
        for request, result in handed:
            if not _will_run(result):
                self._handed.pop(request, None)
        return [
            *(run for run, _ in self._ledger.running() if not _is_cancelled(run)),
            *(request for request, result in handed if _will_run(result)),
        ]

    def over(self) -> list[Request]:
        """What has ended, and whose acknowledgement is still on its way to the broker.

        Ask for what is at work first: a run may end in between.
        """
        for request in list(self._over):
            if not _is_awaited(request):
                self._over.discard(request)
        return list(self._over)

    def outlive_connections(self) -> None:
        """Keep what runs when Celery empties its pool because a connection was lost.

        prefork then forgets its jobs: all of them before Celery 5.7, since then those
        whose start it has not heard of. They run on, and nobody would acknowledge them.
        """
        celerys = vars(self._pool).get("flush")
        if celerys is None or celerys == self._flush:
            return
        self._celerys_flush = celerys
        self._pool.flush = self._flush

    def _flush(self) -> None:
        # A worker that is being terminated has no pool any more.
        cache: dict[int, Any] = getattr(self._pool._pool, "_cache", {})
        jobs = list(cache.items())
        self._celerys_flush()
        cache.update({number: job for number, job in jobs if _has_begun(job) and not job.ready()})

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
                self._handed.pop(request, None)
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
            try:
                return told(pid, time_accepted)
            finally:
                self._handed.pop(request, None)

        return accepted

    def _note_start(self, request: Request, at: float) -> None:
        self._queued.pop(request, None)
        waited_s = self._waited_s(request)
        self._ledger.started(request, request.name, at, waited_s, queue_of(request))
        self._changed()

    def _ended(
        self,
        request: Request,
        told: Callable[..., Any],
        outcome_of: Callable[..., Outcome | None],
    ) -> Callable[..., Any]:
        def ended(*args: Any, **kwargs: Any) -> Any:
            self._guard(note_lost, request, args, otherwise=None)
            try:
                return told(*args, **kwargs)
            except Exception as exc:
                self._guard(hand_back, request, exc, otherwise=None)
                raise
            finally:
                self._handed.pop(request, None)
                self._guard(self._note_end, request, outcome_of, args, kwargs, otherwise=None)

        return ended

    def _note_end(
        self, request: Request, outcome_of: Callable[..., Outcome | None], args: Any, kwargs: Any
    ) -> None:
        outcome = outcome_of(*args, **kwargs)
        if outcome is not None:
            self.over()
            if _is_awaited(request):
                self._over.add(request)
            self._ledger.ended(request, outcome, monotonic(), exception_of(args))
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


def _will_run(result: Any) -> bool:
    """Whether the pool still has a job: a prefork pool may drop one that it has not sent."""
    if getattr(result, "_cache", None) is None:
        return True
    return result._job in result._cache and _has_begun(result)


def _has_begun(job: Any) -> bool:
    """Whether a prefork job was sent to a child, at least in part."""
    return bool(getattr(job, "_accepted", False) or getattr(job, "_write_to", None))


def _is_cancelled(run: Any) -> bool:
    """Ended by Celery because of a lost connection, where the application wants that."""
    return bool(getattr(run, "_already_cancelled", False))


def _is_awaited(request: Request) -> bool:
    """Whether Celery has passed on the acknowledgement, and kombu has not sent it."""
    return bool(request.acknowledged and not request.message.acknowledged)


def _nothing() -> None:
    """The pool has not started."""


def _of_result(result: Any, *_: Any, **__: Any) -> Outcome | None:
    if not isinstance(result, tuple):
        # Celery tells of SystemExit in this way, where its pool has no processes.
        return _of_error(result)
    failed, value, _runtime = result
    return _of_error(value) if failed else Outcome.DONE


def _of_error(einfo: Any, *_: Any, **__: Any) -> Outcome | None:
    exc = exception_in(einfo)
    if isinstance(exc, Retry):
        return Outcome.RETRIED
    if isinstance(exc, Reject):
        return Outcome.REJECTED
    return Outcome.IGNORED if isinstance(exc, Ignore) else Outcome.FAILED


def _of_timeout(soft: bool, *_: Any, **__: Any) -> Outcome | None:
    # A soft limit only warns the task: the run goes on.
    return None if soft else Outcome.FAILED


_OUTCOMES: dict[str, Callable[..., Outcome | None]] = {
    "callback": _of_result,
    "error_callback": _of_error,
    "timeout_callback": _of_timeout,
}

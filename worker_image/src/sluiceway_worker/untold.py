"""Runs whose end Celery does not tell, or fails to: their messages still come to an end.

A process of the pool died. A task raised what Celery does not take for its failure. Celery's own
part of a run failed, as when its result cannot be stored. In each case somebody must say what
becomes of the message, and that a death counts where the task was to blame.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo
from celery.exceptions import WorkerLostError
from celery.utils.log import get_logger
from celery.worker import state

from sluiceway_worker.work import exception_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.worker.request import Request

logger = get_logger(__name__)


def note_lost(request: Request, args: tuple[Any, ...]) -> None:
    """A process of the pool died while it ran this: whoever requeues it is to count that."""
    exc = exception_in(args[0]) if args else None
    if not isinstance(exc, WorkerLostError) or state.should_terminate:
        return
    if not getattr(request, "_already_revoked", False):
        request.message.lost = _reason_of(str(exc))


def _reason_of(loss: str) -> str:
    """Celery's words for a lost run, as those of a death; never with what the task had said."""
    if how := re.search(r"\((SIG\w+)\)", loss):
        return f"{how[1]} of a pool process"
    if how := re.search(r"exitcode (\d+)", loss):
        return f"exit code {how[1]} of a pool process"
    # A pool without processes of its own wraps what no task may raise, such as SystemExit(1).
    how = re.match(r"(\w+)\(", loss)
    return f"{how[1]} in the task" if how else "a pool process"


def hand_back(request: Request, exc: Exception) -> None:
    """Celery failed over the end of a run: it would neither acknowledge nor give this back.

    So it does with ``MemoryError`` in every pool, and with ``SystemExit`` in those without
    processes. A pool of threads swallows the error, and the message would be held for as long
    as the worker lives; the others end the worker, and the next one would run it again, for ever.
    """
    if request.acknowledged or state.should_terminate:
        return
    state.task_ready(request)
    message = request.message
    if isinstance(exc, MemoryError):
        message.lost = "MemoryError in the task"
    if threading.current_thread() is not threading.main_thread():
        request.reject(requeue=True)
        return
    # The event loop may not turn again: what is put off until then would never be done.
    request.acknowledged = True
    message.reject_log_error(logger, request._connection_errors, requeue=True)


def swallows_errors(pool: Any) -> bool:
    """Whether nobody looks at what a thread or a greenlet of this pool ended with."""
    return bool(pool.is_green or getattr(pool, "executor", None) is not None)


def telling(target: Callable[..., Any], told: Callable[..., Any]) -> Callable[..., Any]:
    """What runs a task, with a word to Celery where that itself fails, as prefork gives it.

    So it is when the result cannot be stored. Without that word the run never ends: the slot and
    the message stay taken for as long as the worker lives.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return target(*args, **kwargs)
        except Exception:
            told(ExceptionInfo())
            raise

    return run

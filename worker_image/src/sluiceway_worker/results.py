"""Asks the application's own result backend what has succeeded, and never for long."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger

from sluiceway_worker.finished import is_later

if TYPE_CHECKING:
    from sluiceway_worker.finished import Asks

logger = get_logger(__name__)

_TELL_NOTHING = ("DisabledBackend", "RPCBackend")
_ASK_AGAIN_S = 60.0
"""A backend that fails, or is too slow, is left alone for so long."""

_PATIENCE_S = 2.0


def asks(app: Any) -> Asks | None:
    """Asks the application's own result backend; None where it has none that can tell.

    A backend that fails is not asked again for a while: its timeouts would hold up whoever
    asks.
    """
    try:
        backend = type(app.backend).__name__
    except Exception as exc:
        logger.info("There is no result backend to be asked: %r", exc)
        return None
    if backend in _TELL_NOTHING:
        return None
    silent_until = float("-inf")

    def succeeded(task_id: str, published: float | None) -> bool:
        nonlocal silent_until
        if monotonic() < silent_until:
            return False
        try:
            # Celery keeps a backend for each thread.
            meta = app.backend.get_task_meta(task_id, cache=False)
            return meta["status"] == "SUCCESS" and is_later(meta.get("date_done"), published)
        except Exception as exc:
            silent_until = monotonic() + _ASK_AGAIN_S
            logger.info("The result backend cannot say what has finished: %r", exc)
            return False

    return succeeded


class InTime:
    """Asks in a thread of its own, and waits for the answer only so long.

    Args:
        ask: what is asked there; it raises nothing.
        patience_s: who waits has other duties.
    """

    def __init__(self, ask: Asks, patience_s: float = _PATIENCE_S) -> None:
        self._ask = ask
        self._patience_s = patience_s
        self._silent_until = float("-inf")
        self._questions: SimpleQueue[Any] = SimpleQueue()
        self._thread: Thread | None = None

    def __call__(self, task_id: str, published: float | None) -> bool:
        if monotonic() < self._silent_until:
            return False
        if self._thread is None:
            self._thread = Thread(target=self._answer, name="sluiceway-results", daemon=True)
            self._thread.start()
        answer: SimpleQueue[bool] = SimpleQueue()
        self._questions.put((task_id, published, answer))
        try:
            return answer.get(timeout=self._patience_s)
        except Empty:
            self._silent_until = monotonic() + _ASK_AGAIN_S
            logger.info("The result backend does not say in time what has finished")
            return False

    def _answer(self) -> None:
        while True:
            task_id, published, answer = self._questions.get()
            answer.put(self._ask(task_id, published))

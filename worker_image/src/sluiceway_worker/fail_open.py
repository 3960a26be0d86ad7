"""The rule that the agent never costs a worker its work.

Everything of ours that Celery calls goes through one ``FailOpen``. The first
unexpected error is logged with its traceback, the agent lets go of the worker, and
from then on every call is passed by: the worker is plain Celery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from celery.utils.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

logger = get_logger(__name__)

T = TypeVar("T")


class FailOpen:
    """Calls that may fail without consequences for the caller.

    Args:
        let_go: called once, after the first failure, to undo what would hold the worker.
    """

    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self.failed = False

    def __call__(self, fun: Callable[..., T], *args: Any, otherwise: T) -> T:
        """``fun(*args)``, or ``otherwise`` after a failure, now or earlier."""
        if self.failed:
            return otherwise
        try:
            return fun(*args)
        except Exception:
            self.fail()
            return otherwise

    def fail(self) -> None:
        """Give up for good; call it while the error is being handled."""
        if self.failed:
            return
        self.failed = True
        logger.exception(
            "Sluiceway's agent gives up after an error of its own; "
            "this worker works on as plain Celery, without heartbeat and drain"
        )
        self._let_go()

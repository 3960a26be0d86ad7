"""A suspect runs alone: whatever ran beside a poison message would be declared dead with it.

A message whose next death would make it a dead letter is marked (``wire.SUSPECT_HEADER``).
An empty worker takes it, and takes nothing beside it. One that is at work puts it back and
takes nothing more until it is empty: else it would stand at the head of its list for ever.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from celery.utils.log import get_logger

from sluiceway_worker.wire import SUSPECT_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Container

logger = get_logger(__name__)

_MARK = f'"{SUSPECT_HEADER}": true'.encode()
# Inside of a text the quotation marks would be escaped.

_ASIDE_S = 1.0
"""Another may have taken it meanwhile: a worker at work looks again after so long."""


class Suspects:
    """Says when a worker may take, and whether it may keep what it took.

    Args:
        busy: whether anything runs in this worker or is about to.
        clock: monotonic, seconds.
    """

    def __init__(self, busy: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self._busy = busy
        self._clock = clock
        self._alone = ""
        self._aside_until = 0.0

    def may_take(self, held: Container[str]) -> bool:
        """Whether another message may be taken; ``held`` are the tags of those that are."""
        if self._alone:
            if self._alone in held:
                return False
            self._alone = ""
        if self._aside_until:
            if self._busy() and self._clock() < self._aside_until:
                return False
            self._aside_until = 0.0
        return True

    def may_keep(self, tag: str, message: bytes) -> bool:
        """Whether a message that was just taken may run here now; else it goes back."""
        if _MARK not in message:
            return True
        if self._busy():
            self._aside_until = self._clock() + _ASIDE_S
            return False
        logger.info("Takes a message that two workers may have died of, and runs it alone")
        self._alone = tag
        return True

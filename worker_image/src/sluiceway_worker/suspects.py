"""A suspect runs alone: whatever ran beside a poison message would be declared dead with it.

A message whose next death would make it a dead letter is marked (``wire.SUSPECT_HEADER``).
An empty worker takes it, and takes nothing beside it; what it held for an ETA, and comes due
meanwhile, goes back. One that is at work leaves it in its list, by the very script that takes
(held for a moment, it would share in a death at that moment), and takes nothing more until it
is empty: else it would stand at the head of its list for ever.
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
    """Says when a worker may take, and what it may not.

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
        if self.alone(held):
            return False
        if self._aside_until:
            if self._busy() and self._clock() < self._aside_until:
                return False
            self._aside_until = 0.0
        return True

    def alone(self, held: Container[str]) -> str:
        """The tag of what is to run alone here; ``""``: nothing is."""
        if self._alone not in held:
            self._alone = ""
        return self._alone

    def unwanted(self) -> bytes:
        """What a message that is taken now must not have in it; ``b""``: all are welcome."""
        return _MARK if self._busy() else b""

    def stand_aside(self) -> None:
        """The first message is unwanted here: let an idle worker have it."""
        self._aside_until = self._clock() + _ASIDE_S

    def took(self, tag: str, message: bytes) -> None:
        """A message was taken."""
        if _MARK in message:
            logger.info("Takes a message that two workers may have died of, and runs it alone")
            self._alone = tag

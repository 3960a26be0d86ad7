"""Has kombu's event loop turn once more at once.

The loop calls what is to be done before each wait in no order (it is a set). What the taking
hands to the pool there may come after the pool has looked for something to write, and would
then lie until the wait is over: up to a second, with an idle process beside it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any


class Nudge:
    """A pipe to oneself that the loop listens to."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._listening, self._speaking = os.pipe()
        os.set_blocking(self._listening, False)
        os.set_blocking(self._speaking, False)

    def __call__(self) -> None:
        """The wait that comes next ends at once."""
        # Each time: the loop forgets all that it listens to when a connection is lost.
        self._loop.add_reader(self._listening, self._heard)
        with suppress(BlockingIOError):  # It is full of nudges, then.
            os.write(self._speaking, b"\0")

    def close(self) -> None:
        """Nothing is to be nudged any more."""
        self._loop.remove(self._listening)
        os.close(self._listening)
        os.close(self._speaking)

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._listening, 4096)

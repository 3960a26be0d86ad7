"""Keys that are to be looked at, each by one worker at a time; as client-go's work queue.

A key that is added while it waits waits once; one that is added while somebody works on
it is handed out again when that is done, for what has changed since may not have been seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection


class WorkQueue:
    """Used from one event loop."""

    def __init__(self) -> None:
        """Empty."""
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._wanted: set[str] = set()
        self._busy: set[str] = set()

    def add(self, keys: Collection[str]) -> None:
        """Let these be looked at."""
        for key in keys:
            if key not in self._wanted:
                self._wanted.add(key)
                if key not in self._busy:
                    self._ready.put_nowait(key)

    async def take(self) -> str:
        """The next key; ``done`` is to be called for it, whatever comes of it."""
        key = await self._ready.get()
        self._wanted.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: str) -> None:
        """Nobody works on it any more."""
        self._busy.discard(key)
        if key in self._wanted:
            self._ready.put_nowait(key)

"""A TCP proxy on loopback: one address, behind which servers come and go.

Connections through it can be cut, or made to hang as when the machine at their other end is
gone: nothing passes any more, and nobody is told.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from benchmarks.field import free_port


class _Passage:
    """One connection through it."""

    def __init__(self, peer: str, writer: asyncio.StreamWriter) -> None:
        self.peer = peer
        self.writers = [writer]
        self.hangs = False
        self.ended = asyncio.Event()

    def cut(self) -> None:
        self.ended.set()
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Listens until it is closed.

    Args:
        target: the port that connections are passed on to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._deaf_to: tuple[str, ...] = ()
        self._passages: set[_Passage] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = free_port()
        self._server = self._do(asyncio.start_server(self._pass, "127.0.0.1", self.port))

    def move(self, target: int) -> None:
        """New connections go there; those that stand stay where they are."""
        self._target = target

    def hang(self, peer: str = "") -> None:
        """From now on nothing passes over the connections that stand, and nobody is told.

        Args:
            peer: only those from this address; and new ones from there are not answered either.
        """
        self._deaf_to = (*self._deaf_to, peer) if peer else ()
        self._each(lambda one: setattr(one, "hangs", True), peer)

    def heal(self) -> None:
        """All are answered again. What hung is cut, as by a machine that has forgotten it."""
        self._deaf_to = ()
        self._each(lambda one: one.cut() if one.hangs else None)

    def cut(self) -> None:
        """The connections that stand are closed."""
        self._each(_Passage.cut)

    def close(self) -> None:
        """Listen no more, and close all."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for one in self._passages:
            one.cut()
        if under_way := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(under_way)

    def _each(self, do: Callable[[_Passage], None], peer: str = "") -> None:
        async def all_of_them() -> None:
            for one in list(self._passages):
                if peer in ("", one.peer):
                    do(one)

        self._do(all_of_them())

    def _do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        passage = _Passage(peer, writer)
        passage.hangs = peer in self._deaf_to
        self._passages.add(passage)
        try:
            if not passage.hangs:
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
                passage.writers.append(back)
                await asyncio.gather(_pump(passage, reader, back), _pump(passage, there, writer))
            else:
                await passage.ended.wait()
        except OSError:  # nobody is there
            pass
        finally:
            self._passages.discard(passage)
            passage.cut()


async def _pump(
    passage: _Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pass on what comes until one end is closed; while it hangs, not even that is passed on."""
    with suppress(OSError):
        while some := await reader.read(65_536):
            if passage.hangs:
                break
            writer.write(some)
            await writer.drain()
    if passage.hangs:
        await passage.ended.wait()
    passage.cut()

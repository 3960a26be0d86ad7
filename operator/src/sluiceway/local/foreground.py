"""A local run in the foreground of a terminal: until Ctrl-C, SIGTERM or a closed terminal.

The first signal is a warm shutdown: workers finish what they run. The second one
is a cold shutdown.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from sluiceway.local.mode import LocalMode
from sluiceway.local.show import Show

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run_in_foreground(local: LocalMode, show: Show) -> bool:
    """Run until told to stop.

    Returns:
        Whether the stop was warm: nothing was cut.
    """
    told = asyncio.Event()
    told_again = asyncio.Event()

    def tell() -> None:
        (told_again if told.is_set() else told).set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, tell)
    try:
        async with local:
            showing = asyncio.create_task(show(local))
            try:
                await _first(asyncio.create_task(told.wait()), showing)
                if showing.done():  # it fails only by a defect, which is not to be hidden
                    await showing
                await _stop(local, told_again)
            finally:
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return not told_again.is_set()


async def _stop(local: LocalMode, told_again: asyncio.Event) -> None:
    warm = asyncio.create_task(local.stop())
    again = asyncio.create_task(told_again.wait())
    await _first(warm, again)
    if told_again.is_set():
        await local.stop_cold()
    again.cancel()
    await warm


async def _first(*tasks: asyncio.Task[object]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

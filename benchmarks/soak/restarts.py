"""The broker, which keeps an append-only file, is restarted under work."""

from __future__ import annotations

import asyncio
import random

from benchmarks.common import Result
from benchmarks.field import Field, fresh_field
from benchmarks.kills import local_mode, ready
from benchmarks.load import Load
from benchmarks.verdict import Verdict


def run(times: int, seed: int) -> Result:
    """Restart it that often, by SIGTERM and by SIGKILL in turn, away for up to two seconds."""
    with fresh_field(appendonly="yes") as field:
        return asyncio.run(_run(field, times, random.Random(seed)))


async def _run(field: Field, times: int, chance: random.Random) -> Result:
    async with local_mode(field) as local:
        await ready(local)
        with Load(field, chance) as load:
            for number in range(times):
                await asyncio.sleep(chance.uniform(2, 5))
                end = field.server.terminate if number % 2 else field.server.stop
                await asyncio.to_thread(end)
                await asyncio.sleep(chance.uniform(0, 2))
                await asyncio.to_thread(field.server.start)
            await asyncio.sleep(2)
        await asyncio.to_thread(field.settle, set(load.sent))
    figures = Verdict(set(load.sent)).figures(field)
    return figures | {"publishing_failed": len(load.unconfirmed)}

"""The broker fails over to its replica, by Sentinel, under work.

In turn the primary gets SIGKILL; gets it while its replica lacks the last moments; and is told
to change places with it, as for maintenance, which cuts no connection. In the second case Redis
itself has forgotten publishings, takes and acknowledgements that it had confirmed. Tasks
that it has forgotten something of are counted apart; all others must run once.
"""

from __future__ import annotations

import asyncio
import random

from benchmarks.common import Result
from benchmarks.field import Field
from benchmarks.kills import local_mode, ready
from benchmarks.load import Load
from benchmarks.soak.sentinels import Servers, field_with_sentinels
from benchmarks.verdict import Verdict


def run(times: int, seed: int) -> Result:
    """Fail over that often; workers and local mode know the Sentinels alone."""
    with field_with_sentinels() as (field, servers):
        return asyncio.run(_run(field, servers, times, random.Random(seed)))


async def _run(field: Field, servers: Servers, times: int, chance: random.Random) -> Result:
    forgotten: set[str] = set()
    by_one_in_step: set[str] = set()
    async with local_mode(field) as local:
        await ready(local)
        with Load(field, chance) as load:
            for number in range(times):
                await asyncio.sleep(chance.uniform(2, 5))
                if number % 3 == 2:
                    await asyncio.to_thread(servers.change_over)
                    continue
                behind = number % 3 == 1
                had, kept = await asyncio.to_thread(servers.fail_over, behind=behind)
                forgotten |= had.differs(kept)
                by_one_in_step |= set() if behind else had.differs(kept)
                await ready(local)
            await asyncio.sleep(2)
        await asyncio.to_thread(field.settle, set(load.sent) - forgotten)
    return told_apart(field, load, forgotten) | {"forgotten_in_step": len(by_one_in_step)}


def told_apart(field: Field, load: Load, forgotten: set[str]) -> Result:
    """What became of all tasks, those that Redis has forgotten something of apart."""
    sent = set(load.sent)
    figures = Verdict(sent - forgotten, may_run_twice=forgotten).figures(field)
    begun = field.events("started")
    return figures | {
        "published": len(sent),
        "publishing_failed": len(load.unconfirmed),
        "forgotten": len(forgotten),
        "forgotten_lost": len(sent & forgotten - set(field.events("finished"))),
        "forgotten_run_twice": sum(begun[one] > 1 for one in forgotten),
    }

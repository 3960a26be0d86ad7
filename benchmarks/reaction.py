"""From the first message on an idle fleet to the moment that the operator knows of it.

Woken by the broker, beside a plain poll every second, on the same server with the
same messages. Both sides end with the same look that a decision is made on; what a
new worker then needs to start is not in here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import redis

from benchmarks.common import Result, fleet, main, server, summary, url_of
from sluiceway.broker.connection import Brokers
from sluiceway.observe import BrokerReader, Waking, Watched

POLL_S = 1.0
TRIES = 30
IDLE_FLEETS = 100
"""So many others are watched as well, and stay idle."""


def run(small: bool = True) -> Result:
    """Milliseconds from publishing to knowing; ``ratio`` is poll over wake, by the medians.

    The poll's own wait is uniform over its second, so the small run, with fewer tries
    of it, tells as much of the wake and a little less of the poll.
    """
    with server() as client:
        woken, polled = asyncio.run(_measure(client, TRIES, TRIES // 3 if small else TRIES))
    wake, poll = summary(woken), summary(polled)
    return {
        "tries": len(woken),
        "woken_ms": wake,
        "polled_every_second_ms": poll,
        "polled_tries": len(polled),
        "ratio": round(poll["median"] / wake["median"], 1),
    }


async def _measure(
    client: redis.Redis, tries: int, polled_tries: int
) -> tuple[list[float], list[float]]:
    fleets = [fleet(f"idle-{n}", url_of(client)) for n in range(IDLE_FLEETS)]
    brokers, waking = Brokers(), Waking()
    reader = BrokerReader(brokers)
    target = fleets[0]

    async def knows() -> bool:
        reading = (await reader.read(fleets)).of(target)
        return any(facts.length for facts in reading.queues.values())

    async def by_wake() -> None:
        while not (target.key in await waking.wait(60.0) and await knows()):
            pass

    async def by_poll() -> None:
        # The message may come at any moment of the second.
        await asyncio.sleep(random.uniform(0, POLL_S))
        while True:
            if await knows():
                return
            await asyncio.sleep(POLL_S)

    try:
        await knows()
        await waking.arm(fleets, acting={one.key for one in fleets})
        while waking.problem(target) is not None:
            # Until it is armed it answers every second.
            await waking.wait(0.01)
        woken = [await _time(client, target, by_wake) for _ in range(tries)]
        polled = [await _time(client, target, by_poll) for _ in range(polled_tries)]
    finally:
        await waking.close()
        await brokers.close()
    return woken, polled


async def _time(
    client: redis.Redis, target: Watched, noticed: Callable[[], Awaitable[None]]
) -> float:
    """Publish on the idle queue; milliseconds until it is noticed. The queue is left empty."""
    queue = target.taskqueue.queues[0]
    noticing = asyncio.ensure_future(noticed())
    # Past the 50 ms in which an earlier try's change would hold the arming back.
    await asyncio.sleep(0.1)
    began = time.perf_counter()
    await asyncio.to_thread(client.lpush, queue, "{}")
    await noticing
    took_s = time.perf_counter() - began
    await asyncio.to_thread(client.delete, queue)
    return took_s * 1000


if __name__ == "__main__":
    main("reaction: the first message on an idle fleet", run)
